// SPDX-License-Identifier: Apache-2.0

package registration

import "calleridp/provider/client"

// responses reads how the client's responses are signed and encrypted (OpenID Connect
// Dynamic Client Registration §2). The algorithm of its ID tokens is not among them.
func (in *members) responses() client.Responses {
	return client.ResponseMetadata{
		IDTokenEncryptionAlg:  in.text("id_token_encrypted_response_alg"),
		IDTokenEncryptionEnc:  in.text("id_token_encrypted_response_enc"),
		UserinfoAlg:           in.text("userinfo_signed_response_alg"),
		UserinfoEncryptionAlg: in.text("userinfo_encrypted_response_alg"),
		UserinfoEncryptionEnc: in.text("userinfo_encrypted_response_enc"),
	}.Responses()
}
