// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"

	"github.com/danielgtaylor/huma/v2"
)

// Backups makes backups of the store. Config.Backups is nil if the engine has tools of its
// own for that.
type Backups interface {
	// MakeBackup makes one, and returns a *BackupRefused where an operator can help.
	MakeBackup(ctx context.Context) (Backup, error)
	// ListBackups returns those that are kept, the newest first.
	ListBackups(ctx context.Context) ([]Backup, error)
}

// Backup is a backup in the folder of the server.
type Backup struct {
	Path  string    `json:"path" doc:"The file, on the server's machine."`
	Taken time.Time `json:"taken_at" doc:"When the store was as the backup has it."`
	Bytes int64     `json:"bytes"`
}

// BackupRefused says why there is no backup, and what to do.
type BackupRefused struct{ Reason string }

func (e *BackupRefused) Error() string { return e.Reason }

func (a *API) backups() {
	register(a, huma.Operation{
		OperationID: "list-backups", Method: http.MethodGet, Path: "/v1/backups", Tags: []string{"Backups"},
		Summary: "List the backups that are kept", Description: "The newest first.", Errors: []int{http.StatusConflict},
	}, apikey.BackupsRead, a.ListBackups)
	register(a, huma.Operation{
		OperationID: "make-backup", Method: http.MethodPost, Path: "/v1/backups", Tags: []string{"Backups"},
		Summary:       "Back up the store",
		Description:   "While the server serves, into its folder of backups. The oldest backups beyond backup.keep are deleted.",
		DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, apikey.BackupsWrite, a.MakeBackup)
}

// errNoBackups is for an engine that has tools of its own.
var errNoBackups = refused(http.StatusConflict, "the store is a PostgreSQL database: back it up with its own tools, and keep the master key elsewhere")

// ListBackups returns the backups that are kept, all on one page.
func (a *API) ListBackups(ctx context.Context, _ *struct{}) (*Reply[Page[Backup]], error) {
	if err := allowed(ctx, apikey.BackupsRead); err != nil {
		return nil, err
	}
	if a.Backups == nil {
		return nil, errNoBackups
	}
	all, err := a.Backups.ListBackups(ctx)
	if err != nil {
		return nil, err
	}
	return reply(Page[Backup]{Items: append([]Backup{}, all...)}), nil
}

// MakeBackup backs up the store.
func (a *API) MakeBackup(ctx context.Context, _ *Once) (*Reply[Backup], error) {
	if err := allowed(ctx, apikey.BackupsWrite); err != nil {
		return nil, err
	}
	if a.Backups == nil {
		return nil, errNoBackups
	}
	var made Backup
	err := a.change(ctx, audit.Event{Name: audit.BackupMade}, func(ctx context.Context) (err error) {
		made, err = a.Backups.MakeBackup(ctx)
		return err
	})
	if refusal, ok := errors.AsType[*BackupRefused](err); ok {
		return nil, refused(http.StatusConflict, "%s", refusal.Reason)
	}
	if err != nil {
		return nil, err
	}
	return reply(made), nil
}
