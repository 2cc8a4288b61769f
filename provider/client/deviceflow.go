// SPDX-License-Identifier: Apache-2.0

package client

// validateDeviceFlow returns why the client cannot use the device flow (RFC 8628) here,
// nil if it can or does not.
func (d Deployment) validateDeviceFlow(c Client) FieldErrors {
	if !c.DeviceFlow || d.DeviceFlow {
		return nil
	}
	return FieldErrors{{Field: "device_flow", Reason: "is turned off here (device_flow.enabled)"}}
}
