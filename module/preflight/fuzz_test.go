package preflight

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func FuzzParseConfigNeverShowsAnEnvironment(f *testing.F) {
	const value = "invented-password-of-a-service"
	for _, service := range []string{
		`{}`, `{"image": "mysql:8.0", "restart": "no", "deploy": {"replicas": 2}}`, `{"volumes": [{"type": "bind", "source": "/a$$b", "target": "/x/"}, {"type": "volume", "source": "v"}]}`,
		`{"ports": [{"published": "8000-8010", "target": 80}, {"published": 8000, "target": 80, "host_ip": "::"}]}`, `{"depends_on": {"a": {"condition": "service_completed_successfully"}}}`, `{"environment": {"X": null}}`,
	} {
		f.Add(service, "cron")
	}
	f.Fuzz(func(t *testing.T, service, name string) {
		if strings.Contains(service+name, value) {
			t.Skip("the value stands somewhere else, too")
		}
		text := fmt.Sprintf(`{"name": "p", "volumes": {"v": {"name": "p_v"}}, "services": {%q: %s, "db": {"environment": {"MYSQL_PASSWORD": %q}}}}`, name, service, value)
		config, err := ParseConfig([]byte(text))
		if err != nil {
			assert.NotContains(t, err.Error(), value)
			return
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			assert.NotContains(t, fmt.Sprintf(verb, config), value)
		}
	})
}

func FuzzParseEventsTakesOneContainerALine(f *testing.F) {
	f.Add("DRY-RUN MODE -  Container p-db-1  Running\n Container p-cron-1 Recreate\n")
	f.Add("Container  \n and Container a b\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		events := ParseEvents(text)
		assert.LessOrEqual(t, len(events), strings.Count(text, "\n")+1)
		for _, event := range events {
			assert.NotEmpty(t, event.Container)
			assert.NotEmpty(t, event.Action)
		}
	})
}
