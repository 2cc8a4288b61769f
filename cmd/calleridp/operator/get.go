// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"net/http"
)

// Get asks the running server behind an admin socket for something, and decodes it into v.
// It is for commands that do most of their work elsewhere.
func Get(ctx context.Context, socket, path string, v any) error {
	return request{socket: socket}.call(ctx, http.MethodGet, path, nil, v)
}
