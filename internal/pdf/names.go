package pdf

// frequent are names that most files hold, as objects: to make one anew would take two pieces of memory.
var frequent = func() map[string]Object {
	names := map[string]Object{}
	for _, n := range [...]Name{
		// files and their structure
		"Type", "Size", "Root", "Info", "ID", "Prev", "W", "Index", "XRef", "XRefStm", "ObjStm", "First", "Extends", "Encrypt",
		"Length", "Filter", "FlateDecode", "ASCIIHexDecode", "ASCII85Decode", "DCTDecode", "DecodeParms", "Predictor", "Columns",
		"Producer", "Creator", "Author", "Title", "CreationDate", "ModDate",
		// documents and pages
		"Catalog", "Version", "Extensions", "ADBE", "ESIC", "BaseVersion", "ExtensionLevel", "Pages", "Page", "Kids", "Count", "Parent",
		"Contents", "Resources", "MediaBox", "CropBox", "TrimBox", "Rotate", "Annots", "StructParents", "Tabs", "S", "Group",
		"Transparency", "CS", "DeviceRGB", "DeviceGray", "ProcSet", "PDF", "Text", "ImageB", "ImageC", "ImageI", "Font", "XObject",
		"ExtGState", "Image", "Width", "Height", "BitsPerComponent", "ColorSpace", "Metadata", "XML", "MarkInfo", "Marked",
		"StructTreeRoot", "StructElem", "Lang", "Names", "Outlines", "PageMode", "PageLayout", "ViewerPreferences", "OpenAction",
		"Type1", "TrueType", "BaseFont", "Encoding", "WinAnsiEncoding", "Helvetica", "FontDescriptor", "FirstChar", "LastChar",
		"Widths", "ToUnicode",
		// forms, fields and annotations
		"AcroForm", "Fields", "SigFlags", "DA", "DR", "NeedAppearances", "Annot", "Subtype", "Widget", "Link", "Rect", "Border", "F",
		"FT", "Sig", "Tx", "Btn", "T", "TU", "V", "P", "MK", "AP", "N", "A", "URI", "Form", "FormType", "BBox", "Matrix", "K", "Obj",
		"OBJR", "Pg",
		// signatures and what proves them
		"SubFilter", "ByteRange", "Cert", "Reference", "M", "Name", "Reason", "Location", "ContactInfo", "Prop_Build", "App", "REx",
		"SigRef", "TransformMethod", "TransformParams", "DocMDP", "FieldMDP", "SigFieldLock", "Lock", "Action", "All", "Include",
		"Exclude", "DigestMethod", "DigestValue", "Data", "SHA256", "Perms", "Adobe.PPKLite", "Adobe.PPKMS", "adbe.pkcs7.detached",
		"adbe.pkcs7.sha1", "adbe.x509.rsa_sha1", "ETSI.CAdES.detached", "ETSI.RFC3161", "DocTimeStamp", "DSS", "VRI", "Certs", "CRLs",
		"OCSPs", "CRL", "OCSP", "TS",
	} {
		names[string(n)] = n
	}
	return names
}()
