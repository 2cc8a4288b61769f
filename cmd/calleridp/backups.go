// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/provider/admin"
	"calleridp/storage/backup"
	"calleridp/storage/bolt"
)

// backups makes backups of the embedded store, for the schedule and for operators.
type backups struct{ *backup.Maker }

var _ admin.Backups = backups{}

// newBackups returns what makes backups of a store. It is nil where the engine has tools of
// its own.
func newBackups(store backup.Store, s config.Settings, log *slog.Logger) *backups {
	if store == nil {
		return nil
	}
	version, _ := versions()
	return &backups{backup.NewMaker(backup.Config{
		Store:   store,
		Master:  s.Master,
		Schema:  bolt.Schema,
		Issuer:  s.Issuer,
		Program: version,
		Dir:     s.Backup.Dir,
		Every:   time.Duration(s.Backup.Every),
		Keep:    int(s.Backup.Keep),
		Log:     log,
	})}
}

// MakeBackup implements admin.Backups.
func (b backups) MakeBackup(ctx context.Context) (admin.Backup, error) {
	made, err := b.Make(ctx)
	if errors.Is(err, backup.ErrUnderWay) || errors.Is(err, backup.ErrNoRoom) || errors.Is(err, bolt.ErrSlowBackup) {
		return admin.Backup{}, &admin.BackupRefused{Reason: err.Error()}
	}
	return admin.Backup(made), err
}

// ListBackups implements admin.Backups.
func (b backups) ListBackups(context.Context) ([]admin.Backup, error) {
	kept, err := b.List()
	if err != nil {
		return nil, err
	}
	var all []admin.Backup
	for _, f := range kept {
		all = append(all, admin.Backup(f))
	}
	return all, nil
}
