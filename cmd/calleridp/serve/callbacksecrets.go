// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/truecaller"
)

// CallbackSecrets gives the receiver of callbacks the configured secrets, and
// again when one of their files changes.
type CallbackSecrets struct {
	receiver *truecaller.Receiver
	kept     truecaller.Secrets
	log      *slog.Logger

	mu      sync.Mutex // protects what follows
	sources []*secretSource
	logged  map[string]string // by app, the error that was logged last
}

// secretSource is where one app's secret comes from.
type secretSource struct {
	app, file string // file is "" for a secret of the environment, which cannot change
	current   string
}

// NewCallbackSecrets returns the secrets of s. kept remembers those that were
// replaced, so that they stay valid for a while.
func NewCallbackSecrets(
	s config.Settings,
	receiver *truecaller.Receiver,
	kept truecaller.Secrets,
	log *slog.Logger,
) *CallbackSecrets {
	c := &CallbackSecrets{receiver: receiver, kept: kept, log: log, logged: map[string]string{}}
	for _, app := range s.Apps {
		if app.NativeOnly() { // Truecaller sends it no callbacks
			continue
		}
		c.sources = append(c.sources, &secretSource{
			app:     app.ID,
			file:    s.CallbackSecretFile(app.ID),
			current: app.CallbackSecrets[0],
		})
	}
	return c
}

// Start makes the receiver accept the current secrets.
func (c *CallbackSecrets) Start(ctx context.Context) error {
	for _, source := range c.sources {
		if err := c.receiver.UseSecret(ctx, c.kept, source.app, source.current); err != nil {
			return err
		}
	}
	return nil
}

// Watch reads the secrets again when their files change, until ctx ends. If a new
// secret is invalid, the previous one stays in use; that is logged once.
func (c *CallbackSecrets) Watch(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.rereadAll(ctx)
	}
}

// Reload reads the secrets again at once, from the files that s names now.
func (c *CallbackSecrets) Reload(ctx context.Context, s config.Settings) {
	c.mu.Lock()
	for _, source := range c.sources {
		if file := s.CallbackSecretFile(source.app); source.file != "" && file != "" {
			source.file = file
		}
	}
	c.mu.Unlock()
	c.rereadAll(ctx)
}

func (c *CallbackSecrets) rereadAll(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, source := range c.sources {
		text := ""
		if err := c.reread(ctx, source); err != nil {
			text = err.Error()
		}
		if text != "" && c.logged[source.app] != text {
			c.log.ErrorContext(ctx, "the new callback secret is not used; the previous one stays valid",
				"app", source.app, "file", source.file, "problem", text)
		}
		c.logged[source.app] = text
	}
}

// reread uses the secret in the source's file if it has changed.
func (c *CallbackSecrets) reread(ctx context.Context, source *secretSource) error {
	if source.file == "" {
		return nil
	}
	secret, err := config.ReadSecret(source.file)
	if err != nil {
		return err
	}
	if secret == source.current {
		return nil
	}
	if reason := config.CheckCallbackSecret(secret); reason != "" {
		return errors.New(reason)
	}
	if err := c.receiver.UseSecret(ctx, c.kept, source.app, secret); err != nil {
		return err
	}
	source.current = secret
	c.log.InfoContext(ctx, "new callback secret in use; the previous one stays valid for an hour",
		"app", source.app, "good_for", truecaller.SecretGrace.String())
	return nil
}
