package options

import (
	"fmt"
	"strings"
)

// Invalid is what is wrong with the options: every mistake, each naming its option and what is allowed. It holds no value of
// a secret option.
type Invalid struct{ mistakes []mistake }

type mistake struct{ option, text, code string }

// add takes a mistake, and its code if that is not invalid_options.
func (i *Invalid) add(option, text string, code ...string) {
	i.mistakes = append(i.mistakes, mistake{option, text, strings.Join(code, "")})
}

// Error lists the mistakes.
func (i *Invalid) Error() string {
	texts := make([]string, len(i.mistakes))
	for n, m := range i.mistakes {
		texts[n] = m.text
	}
	said := "The options have a mistake: "
	if len(texts) > 1 {
		said = fmt.Sprintf("The options have %d mistakes: ", len(texts))
	}
	return said + strings.Join(texts, "; ") + ". Nothing was done."
}

// ErrorCode is invalid_key if the new key is all that is wrong, else invalid_options.
func (i *Invalid) ErrorCode() string {
	code := i.mistakes[0].code
	for _, m := range i.mistakes {
		if m.code != code || code == "" {
			return "invalid_options"
		}
	}
	return code
}
