package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// kind is what is told of the records of one kind. What such a record needs to be
// admitted, and what it changes, is the register's.
type kind struct {
	effects func(draftRecord) ([]string, error) // what it would bring about, see [Effects]
	summary func(record.Predicate) string       // what it says, see [Summary]
	files   bool                                // providers file it: it is among their attestations
}

// kinds are all of them. A kind that is not here fails TestEveryKindIsTold.
var kinds = map[record.Kind]kind{
	record.KindCharter: {effects: charterEffects, summary: summaryOf(func(p *record.Charter) string {
		return fmt.Sprintf("%s; rules %d, %d root keys of which %d holders sign", p.Name, p.Rules, len(p.RootKeys), p.Thresholds.Root)
	})},
	record.KindEnrolment: {effects: enrolmentEffects, summary: summaryOf(func(p *record.Enrolment) string {
		return fmt.Sprintf("%s (%s)", p.LegalName, p.Country)
	})},
	record.KindStanding: {effects: standingEffects, summary: summaryOf(func(p *record.Standing) string {
		return fmt.Sprintf("%s from %s: %s", p.Status, p.EffectiveOn, p.Reason)
	})},
	record.KindKeys: {effects: keysEffects, summary: summaryOf(func(p *record.Keys) string {
		return fmt.Sprintf("%s added, %d revoked", plural(len(p.Add), "key"), len(p.Revoke))
	})},
	record.KindDesignation: {effects: designationEffects, summary: summaryOf(func(p *record.Designation) string {
		return fmt.Sprintf("%s: %s%s%s", p.Target.Name, p.Action, withDate(" from ", p.EffectiveFrom), withDate(" until ", p.EffectiveUntil))
	})},
	record.KindAmendment: {effects: amendmentEffects, summary: summaryOf(func(p *record.Amendment) string {
		return fmt.Sprintf("%s: %s", p.Type, p.Reason)
	})},
	record.KindSuspension: {effects: suspensionEffects, summary: summaryOf(func(p *record.Suspension) string {
		return fmt.Sprintf("suspended from %s%s: %s", p.EffectiveOn, withDate(" until ", p.Until), p.Reason)
	})},
	record.KindReinstatement: {effects: reinstatementEffects, summary: summaryOf(func(p *record.Reinstatement) string {
		return fmt.Sprintf("reinstated from %s%s: %s", p.EffectiveOn, withDate(" until ", p.Until), p.Reason)
	})},
	record.KindRevocation: {effects: revocationEffects, summary: summaryOf(func(p *record.Revocation) string {
		if p.Cause == causeError {
			return fmt.Sprintf("published in error; lifted from %s: %s", p.EffectiveOn, p.Reason)
		}
		return fmt.Sprintf("revoked (%s) from %s: %s", p.Cause, p.EffectiveOn, p.Reason)
	})},
	record.KindResponse: {effects: responseEffects, files: true, summary: summaryOf(func(p *record.Response) string {
		return p.Status + withDate(" by ", p.WindDownBy)
	})},
	record.KindCIPCertification: {effects: certificationEffects, files: true, summary: summaryOf(func(p *record.CIPCertification) string {
		return fmt.Sprintf("certifies %s until %s", p.PeriodFrom, p.PeriodUntil)
	})},
	record.KindReseller: {effects: resellerEffects, files: true, summary: summaryOf(func(p *record.ResellerReport) string {
		return string(p.Status) + withDate(", verified ", p.VerifiedAt)
	})},
	record.KindLicence: {effects: licenceEffects, summary: summaryOf(licenceSummary)},
	record.KindCustomerLog: {effects: customerLogEffects, files: true, summary: summaryOf(func(p *record.CustomerLog) string {
		if p.Restart != nil {
			return fmt.Sprintf("private log lost, another begun: %s at %d until %s: %s", p.Origin, p.Size, p.PeriodUntil, p.Restart.Reason)
		}
		return fmt.Sprintf("%s at %d until %s", p.Origin, p.Size, p.PeriodUntil)
	})},
	record.KindAITrainingReport: {effects: aiTrainingEffects, files: true, summary: summaryOf(func(p *record.AITrainingReport) string {
		return fmt.Sprintf("training run known on %s: %s", p.KnownOn, p.Threshold)
	})},
	record.KindAbuseReport: {effects: abuseReportEffects, files: true, summary: summaryOf(func(p *record.AbuseReport) string {
		return fmt.Sprintf("reports %s until %s: %s", p.PeriodFrom, p.PeriodUntil, p.Band)
	})},
	record.KindDisclosureRequest: {effects: requestEffects, summary: summaryOf(requestSummary)},
	record.KindDisclosureReceipt: {effects: receiptEffects, files: true, summary: summaryOf(func(p *record.DisclosureReceipt) string {
		if p.Challenged {
			return "challenges the request: " + p.Reason
		}
		return fmt.Sprintf("discloses %s of a log of %d", plural(int(*p.Entries), "event"), *p.LogSize)
	})},
	record.KindAssessment: {effects: assessmentEffects, summary: summaryOf(func(p *record.Assessment) string {
		return fmt.Sprintf("%s on %s, %s until %s: %s", p.Opinion, p.Auditee, p.PeriodFrom, p.PeriodUntil, p.Scope)
	})},
}

// licenceSummary is what a licence permits whom, for what, and when.
func licenceSummary(l *record.Licence) string {
	text := fmt.Sprintf("%s licence", l.Type)
	if l.Type == record.LicenceADPExemption {
		text = "exemption from the identification programme"
	}
	if l.Holder != "" {
		text += " of " + l.Holder
	}
	if n := len(l.Designations) + len(l.Sections); n > 0 {
		text += " for " + strings.Join(append(slices.Clip(l.Designations[:min(3, len(l.Designations))]), l.Sections[:min(3, len(l.Sections))]...), ", ")
		if n > 3 {
			text += fmt.Sprintf(" and %d more", n-3)
		}
	}
	return fmt.Sprintf("%s, from %s until %s", text, l.From, l.Until)
}

// Summary is what a statement says, in a line.
func Summary(st *record.Statement) string {
	if k, ok := kinds[st.Kind]; ok {
		return k.summary(st.Predicate)
	}
	return string(st.Kind)
}

func summaryOf[P record.Predicate](say func(P) string) func(record.Predicate) string {
	return func(p record.Predicate) string { return say(p.(P)) }
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// joinWords lists roles as a sentence does.
func joinWords[S ~string](words []S) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

func withDate(word string, d *record.Date) string {
	if d == nil {
		return ""
	}
	return word + d.String()
}

// requestSummary tells of a sealed request nothing that is sealed.
func requestSummary(p *record.DisclosureRequest) string {
	switch {
	case p.Open != nil:
		return fmt.Sprintf("opened: %s, asks %s; %s", p.Open.Type, p.Open.Provider, p.Status)
	case p.Status != record.RequestRequested:
		return p.Status
	case p.Provider.Commitment != nil:
		return fmt.Sprintf("sealed%s; for the cooperation of %s%s", withDate(" until ", p.SealedUntil), p.Jurisdiction, withDate(", due ", p.DueOn))
	}
	return fmt.Sprintf("%s, asks %s; for the cooperation of %s%s", p.Type.Text, p.Provider.Text, p.Jurisdiction, withDate(", due ", p.DueOn))
}
