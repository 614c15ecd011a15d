package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seqera-tools/crypto-rotation/module/internal/moto"
)

func TestNoCoreFileIsWrittenThatWouldHoldTheKeys(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("limits of another process are read from /proc")
	}
	server := installation(t)
	var process *exec.Cmd
	var limits []byte
	started, once := make(chan struct{}), sync.Once{}
	server.On(func(int, moto.Call) moto.Fault {
		<-started
		once.Do(func() { limits, _ = os.ReadFile(fmt.Sprintf("/proc/%d/limits", process.Process.Pid)) })
		return moto.None
	})
	process = spawn(t, server, prepare(nil))
	close(started)
	assert.NoError(t, process.Wait())
	assert.Regexp(t, `Max core file size +0 +0 `, string(limits))
}
