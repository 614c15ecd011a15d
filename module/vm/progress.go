package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

const lookEvery = 5 * time.Second // how often progress is reported during a long scan

// report is the content of progress_file. Line and Note are for people, the rest is for programs. It contains no secret.
type report struct {
	At       time.Time       `json:"at"`
	Line     string          `json:"line"`
	Progress *proof.Progress `json:"progress,omitempty"`
	Rate     float64         `json:"rate"` // records per second since the first count
	Cron     string          `json:"cron"`
	Stalled  int             `json:"stalled_seconds"` // since a record was last seen to change
	Note     string          `json:"note"`            // a message that should be shown at once
}

type progress struct {
	path    string
	stall   time.Duration
	first   time.Time // time of the first count
	start   int       // number of records that were done at the first count
	rate    float64
	changes int
	changed time.Time // when a record was last seen to change
	said    time.Time // when the stall was last reported
	note    string

	mu sync.Mutex // two goroutines write the file
}

// begin writes the file for the first time. Its error is a fault if the file cannot be written.
func (p *progress) begin(asked options.Rotation, now time.Time) error {
	p.path, p.stall = asked.ProgressFile, time.Duration(asked.StallTimeout)*time.Second
	if err := p.write(report{At: now.UTC(), Line: "checking parameters and containers"}); err != nil {
		return fault.New(fault.CodeInvalidOptions, "Name a file in an existing, writable directory, or leave the option out.",
			"The option progress_file cannot be written: %v.", err)
	}
	return nil
}

func (p *progress) began() bool { return !p.first.IsZero() }

// estimate fills in the time left from the rate since the first count.
func (p *progress) estimate(now time.Time, of *proof.Progress, changes int) {
	done := of.Total - left(of)
	if p.first.IsZero() {
		p.first, p.start, p.changes, p.changed = now, done, changes, now
		return
	}
	if changes != p.changes {
		p.changes, p.changed, p.note, p.said = changes, now, "", time.Time{}
	}
	if seconds := now.Sub(p.first).Seconds(); done > p.start && seconds > 0 {
		p.rate = float64(done-p.start) / seconds
		eta := int(float64(left(of)) / p.rate)
		of.ETASeconds = &eta
	}
}

// left returns the number of records that cron still has to re-encrypt, as far as is known.
func left(of *proof.Progress) int { return of.Previous + of.Orphaned - of.Rewritten }

// report writes the progress file, and reports a stall.
func (p *progress) report(ctx context.Context, w *watch, verdict proof.Verdict) {
	now := w.about.Now()
	out := report{At: now.UTC(), Line: verdict.Msg, Progress: verdict.Progress, Rate: p.rate, Cron: w.cronSays()}
	if verdict.Progress != nil {
		out.Line = p.line(verdict.Progress) + "; " + out.Cron
		stalled := now.Sub(p.changed)
		out.Stalled = int(stalled.Seconds())
		if stalled >= p.stall && now.Sub(p.said) >= p.stall {
			p.said = now
			p.note = fmt.Sprintf("No record changed for %d s; %s.", out.Stalled, out.Cron)
			if lines := w.lastLines(ctx); lines != "" {
				p.note += " The last lines of its log are: " + lines
			}
		}
	}
	out.Note = p.note
	_ = p.write(out) // begin could write the file; a full disk must not end a run that only watches
}

func (p *progress) line(of *proof.Progress) string {
	text := fmt.Sprintf("%.1f %% of %d records are under the new key", of.Percent, of.Total)
	if p.rate > 0 {
		text += fmt.Sprintf(", %.0f per second", p.rate)
	}
	if of.ETASeconds != nil {
		text += fmt.Sprintf(", about %s left", time.Duration(*of.ETASeconds)*time.Second)
	}
	return text
}

// whileLooking reports the progress of a long scan until stop is called.
func (p *progress) whileLooking(w *watch) (stop func()) {
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-ticker.C:
				if looked, of := w.Scanner.Looked(); of > 0 {
					_ = p.write(report{At: now.UTC(), Line: fmt.Sprintf("opened %d of %d new or changed records", looked, of)})
				}
			}
		}
	})
	return func() { close(done); group.Wait() }
}

// cronSays describes the state of cron's containers.
func (v *VM) cronSays() string {
	if v.Observed.Platform == nil {
		return ""
	}
	text := "there is no cron container"
	for i, cron := range v.Observed.Platform.Of(proof.RoleCron) {
		one := fmt.Sprintf("%s is %s", cron.Container, cron.State)
		if cron.State == "running" {
			one += " since " + cron.StartedAt.UTC().Format(time.TimeOnly) + " UTC"
		}
		if i == 0 {
			text = one
		} else {
			text += ", " + one
		}
	}
	return text
}

func (p *progress) write(out report) error {
	if p.path == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return renameio.WriteFile(p.path, text, 0o600, renameio.WithTempDir(filepath.Dir(p.path)))
}

func (p *progress) end() {
	if p.path != "" {
		_ = os.Remove(p.path)
	}
}
