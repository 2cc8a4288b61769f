// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"net/http"
)

// Socket is the admin socket of a running server.
type Socket string

// Get decodes what the admin API has at a path into v. Its error is a sentence for the
// operator.
func (s Socket) Get(ctx context.Context, path string, v any) error {
	return request{socket: string(s)}.call(ctx, http.MethodGet, path, nil, v)
}
