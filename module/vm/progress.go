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

const lookEvery = 5 * time.Second // is reported while many records are judged

// report is what stands in progress_file: for a person (Line, Note) and for a program. It holds no secret.
type report struct {
	At       time.Time       `json:"at"`
	Line     string          `json:"line"`
	Progress *proof.Progress `json:"progress,omitempty"`
	Rate     float64         `json:"rate"` // records a second since the watch began
	Cron     string          `json:"cron"`
	Stalled  int             `json:"stalled_seconds"` // since a record was last seen to change
	Note     string          `json:"note"`            // what is worth saying at once
}

type progress struct {
	path    string
	stall   time.Duration
	first   time.Time // of the first count
	start   int       // records that were done then
	rate    float64
	changes int
	changed time.Time // when a record was last seen to change
	said    time.Time // when the stall was last named
	note    string

	mu sync.Mutex // two goroutines write the file
}

// begin writes the file for the first time, so that a path that cannot be written is a mistake of now.
func (p *progress) begin(asked options.Rotation, now time.Time) error {
	p.path, p.stall = asked.ProgressFile, time.Duration(asked.StallTimeout)*time.Second
	if err := p.write(report{At: now.UTC(), Line: "looking at parameters and containers"}); err != nil {
		return fault.New(fault.CodeInvalidOptions, "Name a file in a directory that exists and may be written, or leave the option out.",
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

// left are the records that cron has still to do, as far as is known.
func left(of *proof.Progress) int { return of.Previous + of.Orphaned - of.Rewritten }

// tell writes how far it is, and names a stall.
func (p *progress) tell(ctx context.Context, w *watch, verdict proof.Verdict) {
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
				p.note += " Its last lines are: " + lines
			}
		}
	}
	out.Note = p.note
	_ = p.write(out) // it could be written before; a full disk must not end a rotation that only watches
}

func (p *progress) line(of *proof.Progress) string {
	text := fmt.Sprintf("%.1f %% of %d records are under the new key", of.Percent, of.Total)
	if p.rate > 0 {
		text += fmt.Sprintf(", %.0f a second", p.rate)
	}
	if of.ETASeconds != nil {
		text += fmt.Sprintf(", about %s left", time.Duration(*of.ETASeconds)*time.Second)
	}
	return text
}

// whileLooking reports how many records are judged while that takes long, until the function that it gives is called.
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
					_ = p.write(report{At: now.UTC(), Line: fmt.Sprintf("opened %d of %d records that are new or changed", looked, of)})
				}
			}
		}
	})
	return func() { close(done); group.Wait() }
}

// cronSays is what cron's containers are doing.
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
