package custody

// Outcome says whether a write to SSM was carried out. An error may come with each of them.
type Outcome int

// The outcomes.
const (
	NotDone Outcome = iota
	Unknown         // the call was sent, and neither its answer nor a look told
	Done
)
