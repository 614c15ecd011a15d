package preflight

import (
	"regexp"
	"strings"
)

// ParseEvents reads what docker compose up --dry-run prints about containers, on a terminal or not: versions 2.24 to 5 write
// "Container <name> <what>", before version 5 behind "DRY-RUN MODE -".
func ParseEvents(text string) []Event {
	var events []Event
	said := regexp.MustCompile(`(?:^|\s)Container (\S+)\s+([A-Z][a-z]+)\s*$`)
	for line := range strings.Lines(text) {
		if m := said.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			events = append(events, Event{Container: m[1], Action: m[2]})
		}
	}
	return events
}
