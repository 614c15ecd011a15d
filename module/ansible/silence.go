//go:build unix

package ansible

import (
	"io"
	"os"
	"syscall"
)

// silence redirects the process's stdout and stderr to /dev/null until release is called, and returns the original stdout.
// It works on file descriptors, because loggers keep the os.Stderr of the program's start. If stdout is not a file, as in a test,
// no library can write to it, and silence returns it unchanged.
func silence(stdout io.Writer) (original io.Writer, release func(), err error) {
	file, ok := stdout.(*os.File)
	if !ok {
		return stdout, func() {}, nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, nil, internal("Nothing was done: /dev/null cannot be opened.")
	}
	defer func() { _ = null.Close() }()
	mine, err := duplicate(int(file.Fd()))
	if err != nil {
		return nil, nil, err
	}
	out := os.NewFile(uintptr(mine), file.Name())
	undo := []func(){func() { _ = out.Close() }}
	release = func() {
		for _, step := range undo {
			step()
		}
	}
	for _, fd := range []int{syscall.Stdout, syscall.Stderr} {
		kept, err := duplicate(fd)
		if err == nil {
			err = redirect(int(null.Fd()), fd)
		}
		if err != nil {
			release()
			return nil, nil, internal("Nothing was done: stdout and stderr cannot be redirected.")
		}
		undo = append(undo, func() {
			_ = redirect(kept, fd)
			_ = syscall.Close(kept)
		})
	}
	return out, release, nil
}

func duplicate(fd int) (int, error) {
	copied, err := syscall.Dup(fd)
	if err != nil {
		return 0, internal("Nothing was done: stdout and stderr cannot be redirected.")
	}
	syscall.CloseOnExec(copied)
	return copied, nil
}
