// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"time"
)

// setDefaults sets what is unset.
func (c *Backup) setDefaults(dataDir string) {
	orDefault(&c.Dir, filepath.Join(dataDir, "backups"))
	orDefault(&c.Keep, 7)
}

func (d *decoder) checkBackup(c Config) {
	if c.Backup.Every != 0 && c.Storage.Engine == EnginePostgres {
		d.refuse("backup.every", "a database is backed up by its own tools; remove the key")
	}
	if c.Backup.Every != 0 && c.Backup.Every < Duration(time.Minute) && !d.failed("backup.every") {
		d.refuse("backup.every", "must be at least 1m (got %s), because each backup reads the whole store", c.Backup.Every)
	}
	if c.Backup.Dir != "" && !filepath.IsAbs(c.Backup.Dir) && filepath.IsAbs(c.DataDir) {
		d.refuse("backup.dir", "%q is not a whole path, like /mnt/backups/calleridp", c.Backup.Dir)
	}
}
