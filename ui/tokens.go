// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"strings"
)

// Tokens returns the colours and measures of the pages, light and dark, as CSS: what
// static/app.css begins with. The operators' console is made of the same.
func Tokens() string {
	css, err := builtin.ReadFile("static/app.css")
	if err != nil {
		panic(fmt.Sprintf("ui: the stylesheet is not built in: %v", err))
	}
	tokens, _, found := strings.Cut(string(css), "*, *::before, *::after {")
	if !found {
		panic("ui: static/app.css does not begin with the tokens")
	}
	return tokens
}
