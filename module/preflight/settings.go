package preflight

import (
	"regexp"
	"strings"
)

// hasRotation reports whether tower.yml has a setting of a rotation, in any spelling that Micronaut reads: secret-rotation,
// secretRotation or secret_rotation, in block or flow style. The caller must not show what was found: on the same line, there may be a key.
func hasRotation(text string) bool {
	setting := regexp.MustCompile(`secret([-_]r|R)otation["']?\s*[:.]`)
	for line := range strings.Lines(text) {
		if code, _, _ := strings.Cut(" "+line, " #"); setting.MatchString(code) {
			return true
		}
	}
	return false
}

// applicationName returns micronaut.application.name from tower.yml, or "". It is not a full YAML parser: it understands block mappings,
// dotted keys and comments.
func applicationName(text string) string {
	type level struct {
		indent int
		name   string
	}
	var path []level
	for line := range strings.Lines(text) {
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body)
		name, value, ok := strings.Cut(strings.TrimSpace(body), ":")
		if !ok || strings.HasPrefix(body, "#") || strings.HasPrefix(body, "- ") {
			continue
		}
		for len(path) > 0 && path[len(path)-1].indent >= indent {
			path = path[:len(path)-1]
		}
		path = append(path, level{indent, strings.Trim(strings.TrimSpace(name), `"'`)})
		var dotted string
		for _, l := range path {
			dotted += "." + l.name
		}
		if dotted == ".micronaut.application.name" {
			return bare(value)
		}
	}
	return ""
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
