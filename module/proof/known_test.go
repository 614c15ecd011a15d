package proof

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAnEmptyOrNearlyEmptyDatabaseIsTakenForAnotherOne(t *testing.T) {
	baseline, last := Known{100, "the baseline of noon"}, Known{40, "rotation r0"}
	for _, test := range []struct {
		name  string
		total int
		known []Known
		says  string
	}{
		{"none, and nothing is known", 0, nil, "The database db:3306/tower has no encrypted records (tw_secret is empty), so nothing can be proved."},
		{"none, and there never were any", 0, []Known{{0, "the baseline of noon"}}, "The database db:3306/tower has no encrypted records (tw_secret is empty), so nothing can be proved."},
		{"none of a hundred", 0, []Known{baseline}, "The database db:3306/tower has no encrypted records (tw_secret is empty), so nothing can be proved; the baseline of noon has 100."},
		{"one, and nothing is known", 1, nil, ""},
		{"half", 50, []Known{baseline, last}, ""},
		{"fewer than half", 49, []Known{last, baseline}, "The database db:3306/tower has 49 encrypted records, fewer than half of the 100 that the baseline of noon has."},
		{"fewer than half of the last rotation's", 19, []Known{last}, "The database db:3306/tower has 19 encrypted records, fewer than half of the 40 that rotation r0 has."},
		{"more than before", 500, []Known{baseline, last}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			says, bad := TooFew("db:3306/tower", test.total, test.known...)
			assert.Equal(t, test.says, says)
			assert.Equal(t, test.says != "", bad)
		})
	}
}
