// SPDX-License-Identifier: Apache-2.0

package endpoint

// Metadata is what a room contributes to the discovery document (OpenID Connect
// Discovery §3, RFC 8414 §2), so that each value stands beside the code that
// makes it true.
type Metadata []MetadataField

// MetadataField is one member of the document.
type MetadataField struct {
	Name  string
	Value any
}

// Describer is a room that appears in the discovery document.
type Describer interface {
	Metadata() Metadata
}
