import java.io.FileInputStream;
import java.security.cert.*;
import java.util.*;

/** Builds paths from certificates to roots, with lists: Pkix (WHO ROOT LEAF SHOWN LISTS)..., PEM files. It says for whom there is none. */
public class Pkix {
    public static void main(String[] asked) {
        boolean failed = false;
        for (int i = 0; i < asked.length; i += 5) {
            try {
                build(Arrays.copyOfRange(asked, i + 1, i + 5));
            } catch (Exception e) {
                failed = true;
                System.out.println(asked[i] + ": " + e);
            }
        }
        System.exit(failed ? 1 : 0);
    }

    static void build(String[] files) throws Exception {
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
        builder.build(parameters);
    }
}
