package register_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

const licensing = "authority/officer-2"

func exemptionOf(b *registertest.Fixture, holder string) *record.Licence {
	return &record.Licence{Type: record.LicenceADPExemption, Holder: holder, From: today(b), Until: today(b).AddDays(9)}
}

// licensed is a world with two designations, and a licence of acme-cloud for one of them.
func licensed(t *testing.T) *registertest.Fixture {
	t.Helper()
	b := registertest.NewFixture(start, "acme-cloud")
	for _, name := range []string{"1", "2"} {
		b.Must(b.Designate(name, b.NewDesignation("Kestrel")))
	}
	e := &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer("lumen/desk")}}
	b.Must(b.Sign(b.Statement("party/lumen", "lumen", e), "lumen/desk", "acme-cloud/compliance"))
	b.Must(b.Sign(b.Statement("licence/1", "authority", licenceOf(b, "acme-cloud", "1")), licensing))
	return b
}

// TestLicenceRefusals: each rule of a licence and of its revocation, broken once.
func TestLicenceRefusals(t *testing.T) {
	b := licensed(t)
	with := func(change func(*record.Licence)) *record.Licence {
		l := licenceOf(b, "acme-cloud", "1", "2")
		change(l)
		return l
	}
	for _, c := range []struct {
		name   string
		thread record.Thread
		say    record.Predicate
		keys   []string
		want   string
	}{
		{"a designator", "licence/2", licenceOf(b, "acme-cloud", "1"), []string{"authority/officer-1", "authority/officer-3"}, "forbidden"},
		{"its holder", "licence/2", licenceOf(b, "acme-cloud", "1"), []string{"acme-cloud/compliance"}, "forbidden"},
		{"nobody enrolled", "licence/2", with(func(l *record.Licence) { l.Holder = "acme-clod" }), []string{licensing}, "invalid /predicate/holder"},
		{"a reseller", "licence/2", with(func(l *record.Licence) { l.Holder = "lumen" }), []string{licensing}, "invalid /predicate/holder"},
		{"the authority", "licence/2", with(func(l *record.Licence) { l.Holder = "authority" }), []string{licensing}, "invalid /predicate/holder"},
		{"no such designation", "licence/2", with(func(l *record.Licence) { l.Designations[1] = "3" }), []string{licensing}, "invalid /predicate/designations/1"},
		{"over before today", "licence/2", with(func(l *record.Licence) { l.From, l.Until = today(b).AddDays(-9), today(b).AddDays(-1) }), []string{licensing}, "invalid /predicate/until"},
		{"another on its thread", "licence/1", licenceOf(b, "acme-cloud", "2"), []string{licensing}, "conflict"},
		{"revoked by designators", "licence/1", revocation(b, "lifted"), []string{"authority/officer-1", "authority/officer-3"}, "forbidden"},
		{"revoked and never granted", "licence/2", revocation(b, "lifted"), []string{licensing}, "invalid /predicate/thread"},
		{"a designation revoked by licensing alone", "designation/1", revocation(b, "lifted"), []string{licensing}, "forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, keys := sign(b, c.thread, "authority", c.say, c.keys...)
			wantRefusal(t, judgeRefused(t, b, env, keys...), c.want)
		})
	}
	e := b.Must(b.Sign(b.Statement("licence/1", "authority", revocation(b, "error")), licensing))
	wantSigners(t, b, e, licensing)
	env, keys := sign(b, "licence/1", "authority", revocation(b, "superseded"), licensing)
	t.Run("revoked twice", func(t *testing.T) { wantRefusal(t, judgeRefused(t, b, env, keys...), "conflict") })
	env, keys = sign(b, "licence/1", "authority", licenceOf(b, "acme-cloud", "1"), licensing)
	t.Run("granted again", func(t *testing.T) { wantRefusal(t, judgeRefused(t, b, env, keys...), "conflict") })
}

// TestLicenceAdmitted: what the law leaves free.
func TestLicenceAdmitted(t *testing.T) {
	b := licensed(t)
	for i, l := range []*record.Licence{
		licenceOf(b, "", "1", "2"),
		{Type: record.LicenceGeneral, Sections: []string{"§ 7.306"}, From: today(b).AddDays(40), Until: today(b).AddDays(40)},
		{Type: record.LicenceSpecific, Holder: "acme-cloud", Designations: []string{"1"}, From: today(b).AddDays(-100), Until: today(b)}, // since long, for today
		exemptionOf(b, "acme-cloud"),
		{Type: record.LicenceADPExemption, Holder: "acme-cloud", Designations: []string{"2"}, From: today(b), Until: today(b)},
	} {
		e := b.Must(b.Sign(b.Statement(record.LicenceThread(fmt.Sprint("more-", i)), "authority", l), licensing, "authority/officer-1"))
		wantSigners(t, b, e, licensing)
	}
	// A licence that is over may still be revoked, from any day on: history is not rewritten.
	b.Now = b.Now.Add(days(100))
	b.Must(b.Sign(b.Statement("licence/1", "authority", &record.Revocation{EffectiveOn: today(b).AddDays(-300), Cause: "error", Reason: "r"}), licensing))
}

// TestLicensingThreshold: as many licensing officers as the charter says.
func TestLicensingThreshold(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	second := &record.Keys{Add: []record.PartyKey{b.Officer("authority/licences", record.FuncLicensing)}}
	b.Must(b.Sign(b.Statement("party/authority", "authority", second), "root/root-1", "root/root-2", "authority/licences"))
	c := b.CharterPredicate
	c.RootKeys, c.Thresholds.Licensing = slices.Clone(c.RootKeys), 2
	b.Must(b.Sign(b.Statement("charter", "authority", &c), "root/root-1", "root/root-2"))
	env, keys := sign(b, "licence/1", "authority", licenceOf(b, "acme-cloud", "1"), licensing)
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
	b.Must(b.SignAs(env, "authority/licences"))
	env, keys = sign(b, "licence/1", "authority", revocation(b, "lifted"), "authority/licences")
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
	b.Must(b.SignAs(env, licensing))
}

// TestLicenceSteps: by which threads what is paused is found, at every size.
func TestLicenceSteps(t *testing.T) {
	b := licensed(t)
	b.Must(b.Sign(b.Statement("licence/2", "authority", licenceOf(b, "", "1")), licensing))
	exempt := exemptionOf(b, "acme-cloud")
	exempt.Designations = []string{"1", "2"}
	b.Must(b.Sign(b.Statement("licence/3", "authority", exempt), licensing))
	b.Must(b.Sign(b.Statement("licence/1", "authority", revocation(b, "lifted")), licensing))
	first := b.Register.Size() - 4
	for thread, want := range map[record.Thread][]uint64{
		"designation/1":          {first + 1},
		"designation/2":          nil,
		"response/1/acme-cloud":  {first, first + 2, first + 3},
		"response/2/acme-cloud":  {first + 2},
		"response/1/acme-clouds": nil,
		"cip/acme-cloud":         {first + 2},
	} {
		for size := first; size <= b.Register.Size(); size++ {
			s, err := b.Register.Snapshot(size)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := s.LicenceSteps(thread)
			if err != nil {
				t.Fatal(err)
			}
			var got []uint64
			for _, step := range steps {
				got = append(got, step.Index)
				if step.Grants() != (step.Index != first+3) {
					t.Errorf("%s: %+v is a grant: %t", thread, step, step.Grants())
				}
			}
			below := slices.DeleteFunc(slices.Clone(want), func(i uint64) bool { return i >= size })
			if !slices.Equal(got, below) {
				t.Errorf("%s at %d: steps at %d, want %d", thread, size, got, below)
			}
		}
	}
}

// TestMergePauses: runs that overlap or touch are one, whatever their order, and it ends by
// the newest record that sets its end.
func TestMergePauses(t *testing.T) {
	day := func(n int) record.Date { return record.Date{Year: 2027, Month: 1, Day: 1}.AddDays(n) }
	run := func(from, resume int, by uint64) register.Pause {
		p := register.Pause{From: day(from), By: register.RecordRef{Index: by}}
		if resume != 0 {
			p.Resume = ptr(day(resume))
		}
		return p
	}
	for _, c := range []struct {
		name     string
		in, want []register.Pause
	}{
		{"none", nil, nil},
		{"apart", []register.Pause{run(1, 3, 1), run(4, 6, 2)}, []register.Pause{run(1, 3, 1), run(4, 6, 2)}},
		{"touching", []register.Pause{run(1, 4, 1), run(4, 6, 2)}, []register.Pause{run(1, 6, 2)}},
		{"overlapping", []register.Pause{run(1, 5, 9), run(4, 6, 2)}, []register.Pause{run(1, 6, 2)}},
		{"within", []register.Pause{run(1, 9, 1), run(4, 6, 2)}, []register.Pause{run(1, 9, 1)}},
		{"one end", []register.Pause{run(1, 9, 1), run(4, 9, 2)}, []register.Pause{run(1, 9, 2)}},
		{"one end, the newer first", []register.Pause{run(1, 9, 2), run(4, 9, 1)}, []register.Pause{run(1, 9, 2)}},
		{"an endless one", []register.Pause{run(1, 0, 1), run(4, 9, 2)}, []register.Pause{run(1, 0, 1)}},
		{"into an endless one", []register.Pause{run(1, 5, 2), run(4, 0, 1)}, []register.Pause{run(1, 0, 1)}},
		{"a chain", []register.Pause{run(1, 3, 1), run(3, 5, 2), run(4, 8, 3), run(20, 21, 4)}, []register.Pause{run(1, 8, 3), run(20, 21, 4)}},
	} {
		for _, in := range [][]register.Pause{slices.Clone(c.in), reversed(c.in)} {
			got := register.MergePauses(in)
			if fmt.Sprint(spell(got)) != fmt.Sprint(spell(c.want)) {
				t.Errorf("%s: %v, want %v", c.name, spell(got), spell(c.want))
			}
		}
	}
}

func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func spell(runs []register.Pause) (words []string) {
	for _, r := range runs {
		end := "ever"
		if r.Resume != nil {
			end = r.Resume.String()
		}
		words = append(words, fmt.Sprintf("%s to %s by %d", r.From, end, r.By.Index))
	}
	return words
}
