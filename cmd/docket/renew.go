package main

import (
	"context"
	"errors"

	"github.com/seed-53cf897a/docket/client"
)

// renewTrust brings a trust directory to the newest checkpoint, its copy too if it has one:
// a copy that is behind its checkpoint answers nothing.
func (a *app) renewTrust(ctx context.Context, trust *client.Trust, server *client.Client) error {
	switch _, err := trust.Register(); {
	case errors.Is(err, client.ErrNoCopy):
		return a.saveEvidence(trust, trust.Refresh(ctx, server))
	case err != nil:
		return err // such as one that another process has open
	}
	return a.syncTrust(ctx, trust, server)
}

// withRenewal asks a server for what must verify, and once more with the trust directory
// renewed: what does not verify under the policies known here may be the first under a
// new charter. What proves a fork is kept. With a policy alone, trust is nil and the
// first answer the last.
func withRenewal[T any](ctx context.Context, a *app, trust *client.Trust, server *client.Client, ask func() (T, error)) (T, error) {
	answer, err := ask()
	status, _ := exitStatusOf(err)
	var fork *client.ForkError
	switch {
	case err == nil, trust == nil, status == exitNotYet, isProblem(err):
		return answer, err
	case !errors.As(err, &fork):
		if fresh := a.renewTrust(ctx, trust, server); fresh != nil {
			return answer, errors.Join(err, fresh)
		}
		answer, err = ask()
	}
	return answer, a.saveEvidence(trust, err)
}

func isProblem(err error) bool {
	var p *client.Problem
	return errors.As(err, &p)
}
