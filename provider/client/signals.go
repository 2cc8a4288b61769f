// SPDX-License-Identifier: Apache-2.0

package client

// validateSignals returns why the client cannot be a receiver of signals, nil if it can. The
// operator chooses receivers: a client that registered itself is none.
func validateSignals(c Client) FieldErrors {
	reason := ""
	switch {
	case !c.Signals:
	case c.Public:
		reason = "is for confidential clients: a receiver authenticates"
	case c.Registration != nil:
		reason = "is for clients of the operator"
	}
	if reason == "" {
		return nil
	}
	return FieldErrors{{Field: "signals", Reason: reason}}
}

// validateSignals returns why the client cannot be a receiver here, nil if it can.
func (d Deployment) validateSignals(c Client) FieldErrors {
	if !c.Signals || d.Signals {
		return nil
	}
	return FieldErrors{{Field: "signals", Reason: "is turned off here (signals.enabled)"}}
}
