package server

import (
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// stateMeaning is a state, and what it means to whoever reads it for the first time.
type stateMeaning struct{ State, Means string }

// stateMeanings are the states of designations, duties and requests, in the words that a page has for them.
var stateMeanings = map[string][]stateMeaning{
	"designation": {
		{string(view.StatusInForce), "it restricts on this day"},
		{string(view.StatusAnnounced), "it is recorded, and its first day is still to come"},
		{string(view.StatusSuspended), "the authority has paused it: it restricts nothing meanwhile, and its last day stays"},
		{string(view.StatusExpired), "its last day is over"},
		{string(view.StatusRevoked), "the authority has ended it, for good"},
	},
	"duty": {
		{string(view.DutyOverdue), "nothing came, and its last day is over"},
		{string(view.DutyOpen), "nothing came yet, and there is time; of a day to come: nothing is recorded so far"},
		{string(view.DutyPaused), "it falls due in a pause that has no last day yet"},
		{string(view.DutyLate), "it was done after its last day"},
		{string(view.DutyMet), "it was done in time"},
		{string(view.DutyLapsed), "what it rests on ended before it was due"},
	},
	"request": {
		{string(view.RequestOpen), "it waits for an answer, and there is time"},
		{string(view.RequestAnswered), "the provider handed over what was asked for"},
		{string(view.RequestUnanswered), "nothing came by its last day, and the authority has recorded so"},
		{string(view.RequestChallenged), "the provider contests it"},
		{string(view.RequestWithdrawn), "the authority asks no more"},
	},
}
