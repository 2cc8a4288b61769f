package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"calleridp/truecaller"
)

// callbackSecrets gives the receiver of callbacks the secrets that the
// configuration names, and again when one of their files changes.
type callbackSecrets struct {
	receiver *truecaller.Receiver
	kept     truecaller.Secrets
	log      *slog.Logger
	files    []*secretSource
}

// secretSource is where one app's secret comes from.
type secretSource struct {
	app, file string // file is "" for a secret that came another way
	current   string
}

func newCallbackSecrets(s settings, receiver *truecaller.Receiver, kept truecaller.Secrets, log *slog.Logger) *callbackSecrets {
	c := &callbackSecrets{receiver: receiver, kept: kept, log: log}
	for i, app := range appsOf(s.Config) {
		if s.apps[i].NativeOnly() { // nobody calls back
			continue
		}
		source := &secretSource{app: app.ID, current: s.apps[i].CallbackSecrets[0]}
		if app.CallbackSecret == "" {
			source.file = app.CallbackSecretFile
		}
		c.files = append(c.files, source)
	}
	return c
}

// start uses the secrets that the configuration has now.
func (c *callbackSecrets) start(ctx context.Context) error {
	for _, source := range c.files {
		if err := c.receiver.UseSecret(ctx, c.kept, source.app, source.current); err != nil {
			return err
		}
	}
	return nil
}

// watch looks at the files every few seconds. A secret that is no good leaves the
// one before in use.
func (c *callbackSecrets) watch(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	complained := map[string]string{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, source := range c.files {
			mistake := source.reread(ctx, c)
			if mistake != "" && complained[source.app] != mistake {
				c.log.ErrorContext(ctx, "the new callback secret is not used; the one before stays good", "app", source.app, "file", source.file, "problem", mistake)
			}
			complained[source.app] = mistake
		}
	}
}

// reread uses a secret that has changed. It returns what is wrong with it, ""
// for nothing.
func (s *secretSource) reread(ctx context.Context, c *callbackSecrets) string {
	if s.file == "" {
		return ""
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return err.Error()
	}
	secret := strings.TrimSpace(string(text))
	if secret == s.current {
		return ""
	}
	if mistake := callbackSecretMistake(secret); mistake != "" {
		return mistake
	}
	if err := c.receiver.UseSecret(ctx, c.kept, s.app, secret); err != nil {
		return err.Error()
	}
	s.current = secret
	c.log.InfoContext(ctx, "new callback secret in use; the one before stays good for a while", "app", s.app, "good_for", truecaller.SecretGrace.String())
	return ""
}
