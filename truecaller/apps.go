// SPDX-License-Identifier: Apache-2.0

package truecaller

import "fmt"

// Apps are the Truecaller apps of a deployment.
type Apps struct {
	ByID    map[string]App
	Default string // ID of the app of clients that name none
}

// Of returns the app with this ID, the default one for "".
func (a Apps) Of(id string) (App, error) {
	if id == "" {
		id = a.Default
	}
	app, ok := a.ByID[id]
	if !ok {
		return App{}, fmt.Errorf("truecaller: app %q is not configured", id)
	}
	return app, nil
}

// AnyNative reports whether any app serves native applications.
func (a Apps) AnyNative() bool {
	for _, app := range a.ByID {
		if app.NativeClientID != "" {
			return true
		}
	}
	return false
}
