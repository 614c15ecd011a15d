package main

import (
	"context"
	"log"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// wait is what `wait-for-it.sh HOST:PORT -t SECONDS` asks for; zero seconds are no limit.
type wait struct {
	address  string
	patience time.Duration
}

// waitIn finds it in a container's command, of which nothing else counts.
func waitIn(args []string) (wait, bool) {
	words := regexp.MustCompile(`wait-for-it\.sh\s+(\S+:\d+)(?:\s+-t\s+(\d+))?`).FindStringSubmatch(strings.Join(args, " "))
	if words == nil {
		return wait{}, false
	}
	seconds := 15 // the script's own
	if words[2] != "" {
		seconds, _ = strconv.Atoi(words[2])
	}
	return wait{address: words[1], patience: time.Duration(seconds) * time.Second}, true
}

// run waits until the address takes connections. As in the commands (`wait-for-it.sh …; /tower.sh`), the service starts anyway.
func (w wait) run(ctx context.Context, logger *log.Logger) {
	if w.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.patience)
		defer cancel()
	}
	for {
		connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", w.address)
		if err == nil {
			_ = connection.Close()
			return
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			logger.Printf("WARN wait-for-it.sh: %s does not answer", w.address)
			return
		}
	}
}
