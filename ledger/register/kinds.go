package register

import "github.com/seed-53cf897a/docket/ledger/record"

// kind is all that the fold knows of a kind of record. What such a record needs of itself
// alone, the record package has seen to.
type kind struct {
	// judge applies what the kind needs of the ledger's state, and says what the record
	// does: [judgment.did], and the state after it.
	judge func(*judgment) error
	// candidates adds the keys that may have signed such a record, the likeliest first.
	candidates func(*keyCollector, *record.Statement)

	// newState is an empty state of such a thread of the kind, for the row that it is read
	// from. Where the newest record of a thread says all there is to know it is nil, and
	// stateFromDelta makes the state: nil of a record that does not say it.
	newState       func(record.Thread) State
	stateFromDelta func(*Delta) State

	ownKeysOnly      bool // a party's is signed by no other party's keys
	whileSuspended   bool // a suspended party signs it too
	textInStepAlone  bool // what it says in words of its own stands in what it did, not in the state after it
	isLifecycleEvent bool // it is a step of a designation's life after the designation, or of a licence's after that
}

// kinds has the catalogue of rules 1, one row a kind.
var kinds map[record.Kind]*kind

// It is filled here, since judging reads rows, and rows are read by their kind.
func init() {
	kinds = map[record.Kind]*kind{
		record.KindCharter: {
			judge:      judging((*judgment).judgeCharter),
			candidates: charterCandidates,
			newState:   newState[CharterRow],
		},
		record.KindEnrolment: {
			judge:      judging((*judgment).judgeEnrolment),
			candidates: enrolmentCandidates,
			newState:   newState[PartyRow],
		},
		record.KindStanding: {
			judge:           judging((*judgment).judgeStanding),
			candidates:      standingCandidates,
			newState:        newState[PartyRow],
			textInStepAlone: true,
		},
		record.KindKeys: {
			judge:           judging((*judgment).judgeKeys),
			candidates:      keysCandidates,
			newState:        newState[PartyRow],
			ownKeysOnly:     true,
			whileSuspended:  true,
			textInStepAlone: true,
		},
		record.KindDesignation: {
			judge:      judging((*judgment).judgeDesignation),
			candidates: designationCandidates,
			newState:   newState[DesignationRow],
		},
		record.KindAmendment: {
			judge:      judging((*judgment).judgeAmendment),
			candidates: designationCandidates,
			newState:   newState[DesignationRow],
		},
		record.KindSuspension: {
			judge:            judging((*judgment).judgeSuspension),
			candidates:       designationCandidates,
			newState:         newState[DesignationRow],
			isLifecycleEvent: true,
			textInStepAlone:  true,
		},
		record.KindReinstatement: {
			judge:            judging((*judgment).judgeReinstatement),
			candidates:       designationCandidates,
			newState:         newState[DesignationRow],
			isLifecycleEvent: true,
			textInStepAlone:  true,
		},
		record.KindRevocation: {
			judge:            judging((*judgment).judgeRevocation),
			candidates:       revocationCandidates,
			newState:         revokedState,
			isLifecycleEvent: true,
			textInStepAlone:  true,
		},
		record.KindResponse: {
			judge:           judging((*judgment).judgeResponse),
			candidates:      providerCandidates,
			stateFromDelta:  responseFromDelta,
			ownKeysOnly:     true,
			whileSuspended:  true,
			textInStepAlone: true,
		},
		record.KindCIPCertification: {
			judge:           judging((*judgment).judgeCertification),
			candidates:      providerCandidates,
			stateFromDelta:  periodFromDelta,
			ownKeysOnly:     true,
			textInStepAlone: true,
		},
		record.KindCustomerLog: {
			judge:       judging((*judgment).judgeCustomerLog),
			candidates:  providerCandidates,
			newState:    newState[CustomerLogRow],
			ownKeysOnly: true,
		},
		record.KindAITrainingReport: {
			judge:           judging((*judgment).judgeAITrainingReport),
			candidates:      providerCandidates,
			stateFromDelta:  aiTrainingFromDelta,
			ownKeysOnly:     true,
			textInStepAlone: true,
		},
		record.KindAbuseReport: {
			judge:           judging((*judgment).judgeAbuseReport),
			candidates:      providerCandidates,
			stateFromDelta:  periodFromDelta,
			ownKeysOnly:     true,
			textInStepAlone: true,
		},
		record.KindReseller: {
			judge:           judging((*judgment).judgeReseller),
			candidates:      resellerCandidates,
			stateFromDelta:  resellerFromDelta,
			textInStepAlone: true,
		},
		record.KindLicence: {
			judge:      judging((*judgment).judgeLicence),
			candidates: licenceCandidates,
			newState:   newState[LicenceRow],
		},
		record.KindDisclosureRequest: {
			judge:      judging((*judgment).judgeRequest),
			candidates: demandCandidates,
			newState:   newState[RequestRow],
		},
		record.KindDisclosureReceipt: {
			judge:       judging((*judgment).judgeReceipt),
			candidates:  providerCandidates,
			newState:    newState[ReceiptRow],
			ownKeysOnly: true,
		},
		record.KindAssessment: {
			judge:          judging((*judgment).judgeAssessment),
			candidates:     providerCandidates,
			stateFromDelta: assessmentFromDelta,
			ownKeysOnly:    true,
		},
	}
}

// judging hands a kind's rules the predicate by its own type.
func judging[P record.Predicate](judge func(*judgment, P) error) func(*judgment) error {
	return func(j *judgment) error { return judge(j, j.st.Predicate.(P)) }
}

func newState[T any, S interface {
	*T
	State
}](record.Thread) State {
	return S(new(T))
}
