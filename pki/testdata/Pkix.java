import java.io.FileInputStream;
import java.security.cert.*;
import java.util.*;

/** Builds a path from a certificate to a root, with lists: Pkix ROOT LEAF SHOWN LISTS, PEM files. */
public class Pkix {
    public static void main(String[] files) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        Collection<Object> store = new ArrayList<>();
        X509Certificate root, leaf;
        try (var in = new FileInputStream(files[0])) { root = (X509Certificate) factory.generateCertificate(in); }
        try (var in = new FileInputStream(files[1])) { leaf = (X509Certificate) factory.generateCertificate(in); }
        try (var in = new FileInputStream(files[2])) { store.addAll(factory.generateCertificates(in)); }
        try (var in = new FileInputStream(files[3])) { store.addAll(factory.generateCRLs(in)); }
        store.add(leaf);
        X509CertSelector target = new X509CertSelector();
        target.setCertificate(leaf);
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(Set.of(new TrustAnchor(root, null)), target);
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(store)));
        parameters.setRevocationEnabled(true);
        CertPathBuilder builder = CertPathBuilder.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) builder.getRevocationChecker();
        checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.PREFER_CRLS, PKIXRevocationChecker.Option.NO_FALLBACK));
        parameters.addCertPathChecker(checker);
        System.out.println(((PKIXCertPathBuilderResult) builder.build(parameters)).getTrustAnchor().getTrustedCert().getSubjectX500Principal());
    }
}
