package pdf

// Limits on the shape of a file. Real files stay far below; a file that goes beyond is refused or read as
// broken. The sum of what a file costs is bounded by its budget.
const (
	// MaxFileSize is the largest file that Open takes, in bytes.
	MaxFileSize = 1 << 30

	maxDepth       = 64      // nesting of arrays and dictionaries
	maxNodes       = 1 << 20 // objects of any kind inside one indirect object
	maxIndirection = 32      // references to references
	maxRevisions   = 1 << 10 // cross-reference sections
	maxSubsections = 1 << 16 // subsections of one cross-reference section
	maxRebuilt     = 1 << 19 // objects that a rebuild finds, with repeats
	maxViews       = 1 << 10 // revisions looked at by themselves
	maxFields      = 1 << 14 // nodes of the form's field tree
	maxTreeDepth   = 64      // depth of field and page trees
	maxEvidence    = 1 << 12 // streams of a document security store; real ones hold a few dozen
	maxFilters     = 4       // filters of one stream
	maxInflated    = 64 << 20
	maxObjStm      = 1 << 17 // objects in one object stream
	maxObjectID    = 8388607 // ISO 32000-1 annex C
)
