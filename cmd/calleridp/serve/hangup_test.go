package serve

import (
	"io"
	"log/slog"
	"os"
	"syscall"
	"testing"
)

// SIGHUP is logged and ends nothing: without a handler this test's process ends.
func TestHangupDoesNotEndTheServer(t *testing.T) {
	lines, log := io.Pipe()
	certificate := &Certificate{reload: make(chan struct{}, 1)}
	stop := onHangup(certificate, slog.New(slog.NewTextHandler(log, nil)))
	defer stop()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // also while a reload is pending
		if err := self.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if _, err := lines.Read(make([]byte, 4<<10)); err != nil {
			t.Fatal(err)
		}
	}
	<-certificate.reload
}
