package record

import "fmt"

// faultList gathers what the rules across fields find.
type faultList struct{ list []Fault }

func (f *faultList) add(pointer, format string, args ...any) {
	f.list = append(f.list, Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

// addIf adds a fault if broken; the pointer is a format only where it has arguments.
func (f *faultList) addIf(broken bool, detail, pointer string, args ...any) {
	if broken {
		f.list = append(f.list, Fault{Pointer: formatPointer(pointer, args...), Detail: detail})
	}
}

func formatPointer(pointer string, args ...any) string {
	if len(args) == 0 {
		return pointer
	}
	return fmt.Sprintf(pointer, args...)
}

// checkOrder: a period does not end before it begins.
func checkOrder(from, until *Date, pointer, first string, f *faultList) {
	if from != nil && until != nil && until.Before(*from) {
		f.add(pointer, "is %s, before %s (%s)", until, first, from)
	}
}
