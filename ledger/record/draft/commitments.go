package draft

import (
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// CommitPointerFault says why a record on a thread can hold no commitment at a pointer from its
// predicate's root, "" if one of a kind that stands there can.
func CommitPointerFault(thread record.Thread, pointer string) string {
	kinds := record.KindsOn(thread)
	var known []string
	for _, k := range kinds {
		sp, err := record.SpecOf(k)
		if err != nil {
			continue
		}
		if sp.PrivateSubject || sp.SealableSubject {
			known = append(known, "/subject")
		}
		known = append(known, commitPointers(sp.Shape, "")...)
	}
	for _, p := range known {
		if p == pointer {
			return ""
		}
		within, ofMap := strings.CutSuffix(p, "/"+anyName)
		if name, ok := strings.CutPrefix(pointer, within+"/"); ofMap && ok && name != "" && !strings.Contains(name, "/") {
			return ""
		}
	}
	what := fmt.Sprintf("no record on %s can hold a commitment at %s", thread, pointer)
	if len(known) == 0 {
		return what + ": none has any"
	}
	if hint := schema.DidYouMean(pointer, known); hint != "" {
		return what + hint
	}
	return what + "; it can at " + strings.Join(known, ", ")
}

// anyName stands for the names in a map that its writer chooses.
const anyName = "NAME"

// commitPointers are where commitments can stand in what has a shape.
func commitPointers(sh *schema.Shape, at string) (all []string) {
	switch {
	case sh.GoType == goCommitment, sh.GoType == goDigest, sh.Type == schema.TypeSealable:
		return []string{at}
	case sh.Type == schema.TypeMap:
		return commitPointers(sh.Item, at+"/"+anyName)
	case sh.Type == schema.TypeObject:
		for _, f := range sh.Fields {
			all = append(all, commitPointers(f.Shape, at+"/"+f.Name)...)
		}
	}
	return all
}
