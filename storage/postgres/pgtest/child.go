// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"os"
	"os/exec"
	"runtime"
)

// child is a running process that ends with this one.
type child struct {
	process *os.Process
	ended   chan struct{}
}

// start starts a process. The thread that starts it must live as long as it: the
// kernel takes the end of that thread for the end of the parent.
func start(cmd *exec.Cmd) (*child, error) {
	endWithParent(cmd)
	c := &child{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err == nil {
			cmd.Wait()
			close(c.ended)
		}
	}()
	return c, <-started
}

func (c *child) signal(s os.Signal) { c.process.Signal(s) }
