// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/endpoint"
	"calleridp/storage/bolt"
	"calleridp/truecaller"
)

// expectsNothing discards all callbacks: these tests need the response only.
type expectsNothing struct{ truecaller.Recipient }

func (expectsNothing) Expects(context.Context, string, truecaller.Callback) (bool, error) {
	return false, nil
}

// A callback secret that changes in its file is used within seconds. The previous
// one stays valid for its hour, even after a restart.
func TestCallbackSecretIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "callback")
		write := func(text string) {
			if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		one, two := strings.Repeat("1", 32), strings.Repeat("2", 32)
		write(one)
		master, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		start := func(secret string) (opens func(string) bool, stop func()) {
			store, err := bolt.Open(filepath.Join(dir, "store"), master, bolt.Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			at := &url.URL{Scheme: "https", Host: "truecaller.example"}
			app := truecaller.App{ID: "default", Key: "key", API: at, Profiles: []*url.URL{at}, CallbackSecrets: []string{secret}}
			logger := slog.New(slog.NewTextHandler(&log, nil))
			receiver, err := truecaller.NewReceiver(endpoint.PathCallback, truecaller.ReceiverConfig{
				Apps:      map[string]truecaller.App{"default": app},
				Inbox:     store,
				Recipient: expectsNothing{},
				Client:    truecaller.NewClient(truecaller.Options{}),
				Log:       logger,
				Callbacks: audit.NewSums(logger, nil),
			})
			if err != nil {
				t.Fatal(err)
			}
			s := config.Settings{Apps: []truecaller.App{app}}
			s.Truecaller.ID, s.Truecaller.CallbackSecretFile = "default", file
			secrets := NewCallbackSecrets(s, receiver, store, logger)
			if err := secrets.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { secrets.Watch(ctx); close(done) }()
			opens = func(secret string) bool {
				w := httptest.NewRecorder()
				receiver.ServeHTTP(w, httptest.NewRequest("POST", "/callback/default/"+secret, strings.NewReader(`{"requestId":"r","status":"s"}`)))
				return w.Code == 200
			}
			return opens, func() { cancel(); <-done; store.Close() }
		}
		opens, stop := start(one)
		if !opens(one) || opens(two) {
			t.Fatal("want only the first secret accepted")
		}
		write("too short")
		time.Sleep(time.Minute)
		synctest.Wait() // until it is logged
		if !opens(one) || strings.Count(log.String(), "not used") != 1 || strings.Contains(log.String(), one) {
			t.Errorf("an invalid secret: got log %s; want one error without a secret, and the first secret accepted", log.String())
		}
		write(two)
		time.Sleep(6 * time.Second)
		if !opens(one) || !opens(two) {
			t.Error("after the change: want both secrets accepted")
		}
		stop()
		opens, stop = start(two)
		defer stop()
		if !opens(one) || !opens(two) {
			t.Error("after a restart: want both secrets accepted")
		}
		time.Sleep(truecaller.SecretGrace)
		if opens(one) || !opens(two) {
			t.Error("after the grace period: want only the new secret accepted")
		}
	})
}
