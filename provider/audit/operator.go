package audit

import "context"

type operatorKey struct{}

// WithOperator returns a context in which who acts as an operator: what an operator's event
// says as `operator`, such as "uid 1000" or "key ops-laptop (k7Jw2mQx)".
func WithOperator(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, operatorKey{}, who)
}

// Operator returns who acts as an operator in the context, "" for none.
func Operator(ctx context.Context) string {
	who, _ := ctx.Value(operatorKey{}).(string)
	return who
}
