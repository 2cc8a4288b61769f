package admin

// Once makes a request with POST happen once, however often it is sent.
type Once struct {
	IdempotencyKey string `header:"Idempotency-Key" minLength:"8" maxLength:"255" doc:"If a request with this key was carried out within a day, its response is repeated, without its secret, and nothing is done."`
}
