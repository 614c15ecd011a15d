//go:build unix

package ansible

import (
	"io"
	"os"
	"syscall"
)

// silence redirects the process's stdout and stderr to /dev/null for good, and returns the original stdout. It works on file
// descriptors, because loggers keep the os.Stderr of the program's start. If stdout is not a file, as in a test, no library can write
// to it, and silence returns it unchanged.
func silence(stdout io.Writer) (original io.Writer, err error) {
	file, ok := stdout.(*os.File)
	if !ok {
		return stdout, nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return stdout, internal("Nothing was done: /dev/null cannot be opened.")
	}
	defer func() { _ = null.Close() }()
	mine, err := syscall.Dup(int(file.Fd()))
	for _, fd := range []int{syscall.Stderr, syscall.Stdout} { // stdout last: until then, a failure can be printed
		if err == nil {
			err = redirect(int(null.Fd()), fd)
		}
	}
	if err != nil {
		return stdout, internal("Nothing was done: stdout and stderr cannot be redirected.")
	}
	syscall.CloseOnExec(mine)
	return os.NewFile(uintptr(mine), file.Name()), nil
}
