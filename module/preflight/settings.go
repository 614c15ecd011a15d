package preflight

import (
	"regexp"
	"strings"
)

// settings is the result of scan, which is not a full YAML parser: it understands block mappings, dotted keys and comments.
type settings struct {
	names       []string // dotted names of all settings
	application string   // micronaut.application.name
}

func scan(text string) settings {
	var found settings
	type level struct {
		indent int
		name   string
	}
	var path []level
	for line := range strings.Lines(text) {
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body)
		body = strings.TrimSpace(body)
		if body == "" || strings.HasPrefix(body, "#") || strings.HasPrefix(body, "- ") || body == "---" {
			continue
		}
		name, value, ok := strings.Cut(body, ":")
		if !ok {
			continue
		}
		for len(path) > 0 && path[len(path)-1].indent >= indent {
			path = path[:len(path)-1]
		}
		path = append(path, level{indent, strings.Trim(strings.TrimSpace(name), `"'`)})
		whole := make([]string, len(path))
		for i, l := range path {
			whole[i] = l.name
		}
		dotted := strings.Join(whole, ".")
		found.names = append(found.names, dotted)
		if value = bare(value); strings.HasPrefix(value, "{") {
			found.names = append(found.names, dotted+"."+value)
		} else if dotted == "micronaut.application.name" {
			found.application = value
		}
	}
	return found
}

// bare returns a scalar without its quotes and without a comment.
func bare(value string) string {
	value = strings.TrimSpace(value)
	for _, quote := range []string{`"`, "'"} {
		if rest, ok := strings.CutPrefix(value, quote); ok {
			value, _, _ = strings.Cut(rest, quote)
			return value
		}
	}
	if strings.HasPrefix(value, "#") {
		return ""
	}
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value)
}

// hyphens normalizes a name as Micronaut does: secretRotation and secret_rotation become secret-rotation.
func hyphens(name string) string {
	return strings.ReplaceAll(strings.ToLower(regexp.MustCompile("[A-Z]").ReplaceAllString(name, "-$0")), "_", "-")
}
