package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/options"
)

// paragraphs are those of a comment, a line each.
func paragraphs(comment string) []string {
	var list []string
	for text := range strings.SplitSeq(comment, "\n\n") {
		if line := strings.Join(strings.Fields(text), " "); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// markup is ansible-doc's: O(option), V(value), C(code), E(variable), RV(return value).
func markup() *regexp.Regexp { return regexp.MustCompile(`\b(?:O|V|C|E|RV)\(([^)]*)\)`) }

func plainText(paragraphs []string) string {
	return markup().ReplaceAllString(strings.Join(paragraphs, "\n\n"), "$1")
}

func markdown(text string) string { return markup().ReplaceAllString(text, "`$1`") }

// unescape takes back what the schema library's encoder does to < and >.
func unescape(text string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(text)
}

// told is what an option's tags say beside type, default and choices.
func told(a options.Argument) []string {
	var list []string
	if a.Allowed != "" {
		list = append(list, "Allowed: "+a.Allowed)
	}
	if byName(a.Default) {
		list = append(list, "The value here is the default, with the value of O(app_name).")
	}
	variables := make([]string, len(a.Env))
	for i, name := range a.Env {
		variables[i] = "E(" + name + ")"
	}
	switch len(variables) {
	case 0:
	case 1:
		list = append(list, "The environment variable "+variables[0]+" may also be used.")
	default:
		list = append(list, "The environment variables "+strings.Join(variables, " or ")+" may also be used, in this order of preference.")
	}
	return list
}

// byName says whether a default has the installation's name in it.
func byName(value any) bool {
	text, ok := value.(string)
	return ok && strings.Contains(text, "<app_name>")
}

// sentencesOf tells an option's share in the needs.
func sentencesOf(needs []options.Need, arguments []options.Argument) func(string) []string {
	lists := map[string]bool{}
	for _, a := range arguments {
		lists[a.Name] = a.Type == "list"
	}
	return func(name string) []string {
		var list, states []string
		for _, need := range needs {
			option, value := need.Condition()
			if need.Kind == options.All && value != "" && !lists[option] && slices.Contains(need.Of, name) {
				states = append(states, need.When)
				continue
			}
			list = append(list, sentences(need, name)...)
		}
		if len(states) > 0 {
			return append([]string{"Required for " + these(states, "and") + "."}, list...)
		}
		return list
	}
}

func sentences(need options.Need, name string) []string {
	option, value := need.Condition()
	others := slices.DeleteFunc(slices.Clone(need.Of), func(other string) bool { return other == name })
	among := len(others) < len(need.Of)
	var said string
	switch {
	case need.Kind == options.Together && among:
		said = "Requires " + these(others, "and") + "."
	case need.Kind == options.Any && among:
		said = fmt.Sprintf("For O(%s), at least one of %s is required, %s.", need.When, these(need.Of, "and"), need.Why)
	case need.Kind == options.None && among:
		said = "Not together with " + these([]string{option}, "") + "."
	case need.Kind == options.None && option == name:
		said = "Not together with " + these(need.Of, "or") + "."
	case need.Kind == options.All && among && value == "":
		said = "Required if O(" + option + ") is given."
	case need.Kind == options.All && option == name && value == "":
		said = "Requires " + these(need.Of, "and") + ": " + need.Why + "."
	case need.Kind == options.All && among:
		said = fmt.Sprintf("Required if O(%s) contains V(%s).", option, value)
	default:
		return nil
	}
	return []string{said}
}

// these names options: O(a), O(b) and O(c).
func these(names []string, and string) string {
	marked := make([]string, len(names))
	for i, name := range names {
		marked[i] = "O(" + name + ")"
	}
	if last := len(marked) - 1; last > 0 {
		return strings.Join(marked[:last], ", ") + " " + and + " " + marked[last]
	}
	return marked[0]
}
