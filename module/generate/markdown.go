package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// markdownPage executes the template of a page in docs/.
func markdownPage(name string, modules []module, entries []entry) (string, error) {
	page, err := template.New(name + ".tmpl").Funcs(template.FuncMap{"code": code, "table": table, "split": split}).ParseFiles("module/generate/pages/" + name + ".tmpl")
	if err != nil {
		return "", err
	}
	var made strings.Builder
	err = page.Execute(&made, map[string]any{"Generated": generated, "Modules": modules, "Entries": entries})
	return markdown(made.String()), err
}

// split separates a module's own options from the options that the first module documents in the same words.
func split(m module, first module) map[string]any {
	var own list
	var same []string
	for _, o := range m.Options {
		if m.Name != first.Name && slices.ContainsFunc(first.Options, func(other option) bool { return other.Name == o.Name && slices.Equal(other.Description, o.Description) }) {
			same = append(same, o.Name)
		} else {
			own = append(own, o)
		}
	}
	return map[string]any{"Own": own, "Same": same}
}

func table(what, third string, all list) string {
	return fmt.Sprintf("| %s | type | %s | |\n|---|---|---|---|\n", what, third) + rows("", all)
}

func rows(prefix string, all list) string {
	made := ""
	for _, o := range all {
		kind, said := o.Type, slices.Clone(o.Description)
		if o.Elements != "" {
			kind += " of " + o.Elements
		}
		if len(o.Choices) > 0 {
			kind += ": " + code(o.Choices)
		}
		if o.Required {
			kind += ", required"
		}
		if o.schema.Secret {
			kind += ", secret"
		}
		if len(o.Aliases) > 0 {
			said = append(said, "Aliases: "+code(o.Aliases)+".")
		}
		if example := shown(o.Sample); example != "" && example != "`[]`" {
			said = append(said, "Example: "+example+".")
		}
		cell := strings.ReplaceAll(strings.Join(said, "<br>"), "|", `\|`)
		made += fmt.Sprintf("| %s | %s | %s | %s |\n", shown(prefix+o.Name), kind, cmp.Or(o.Returned, shown(o.Default)), cell) +
			rows(prefix+o.Name+".", slices.Concat(o.Options, o.Suboptions, o.Contains))
	}
	return made
}

func shown(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return "`" + v + "`"
	}
	text, _ := json.Marshal(value)
	return "`" + string(text) + "`"
}

func code(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

// markup matches ansible-doc's markup, in a JSON string as well: O(option), V(value), C(code), E(variable), RV(return value).
func markup() *regexp.Regexp { return regexp.MustCompile(`(\\n|\b)(?:O|V|C|E|RV)\(([^)]*)\)`) }

func markdown(text string) string { return markup().ReplaceAllString(text, "$1`$2`") }
