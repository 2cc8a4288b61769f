package serve

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// onHangup keeps SIGHUP from ending the process, until stop is called. Service
// managers send it to make a server read its files again. The certificate is read
// again at once; the callback secrets are watched anyway, and everything else is read
// at the start alone. certificate may be nil.
func onHangup(certificate *Certificate, log *slog.Logger) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-hangups:
			}
			log.Info("SIGHUP: the certificate and the callback secrets are read again; restart the server for the rest of the configuration")
			if certificate != nil {
				certificate.Reload()
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(done)
	}
}
