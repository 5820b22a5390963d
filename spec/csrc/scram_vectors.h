/*
 * scram_vectors.h - SCRAM exchanges that spec/support/scram_vectors.py made.
 */
#ifndef POP3_SCRAM_VECTORS_H
#define POP3_SCRAM_VECTORS_H

#include "../../csrc/sasl.h"

/* clang-format off */

typedef struct scram_vector {
  const char *mechanism, *user, *password, *authzid, *nonce;
  bool offerable; /* the server could have been bound to */
  const char *binding_type;
  pop3_span binding;
  const char *first, *server_first, *final, *server_final;
} scram_vector;

static const scram_vector scram_vectors[] = {
    {"SCRAM-SHA-1",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     NULL,
     {"", 0},
     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8b"
     "f92,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3"
     "Bz2T0CJGbJQyF0X+HI4Ts=",
     "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {"SCRAM-SHA-256",
     "user",
     "pencil",
     "",
     "rOprNGfwEbeRWgbNEkqO",
     false,
     NULL,
     {"", 0},
     "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22Za"
     "J0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    {"SCRAM-SHA-1",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     NULL,
     {"", 0},
     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=hzhrgAj6xgd4y"
     "QIejnb2tA==,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=te2K0N"
     "RRAodERcwrlY4gc/mYkK0=",
     "v=Ll50OdULE3cZmZNqsMLW+TwekFM="},
    {"SCRAM-SHA-1-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-exporter",
     {")\262 \324\234\326\241\355\203\226\027/F\374\344!\034\240"
     "\372\015\231&\336\346q\012(\233k\327\240\216", 32},
     "p=tls-exporter,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=hzhrgAj6xgd4y"
     "QIejnb2tA==,i=4096",
     "c=cD10bHMtZXhwb3J0ZXIsLCmyINSc1qHtg5YXL0b85CEcoPoNmSbe5nEKKJ"
     "tr16CO,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=NZNA0I"
     "X76II/iTv2iNaWGslB28g=",
     "v=KaJKBKbxzX40dKTh3arLvJW05G0="},
    {"SCRAM-SHA-1-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-unique",
     {"\302r\004E\244Rg\2016\210\377s", 12},
     "p=tls-unique,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=hzhrgAj6xgd4y"
     "QIejnb2tA==,i=4096",
     "c=cD10bHMtdW5pcXVlLCzCcgRFpFJngTaI/3M=,r=fyko+d2lbbFgONRv9qk"
     "xdawL3rfcNHYJY1ZVvWVs7j,p=C9b6EM7nKGO0SLussn42Sj2p8oY=",
     "v=0QKRanksOP17ywLFCjf1rlcBFbs="},
    {"SCRAM-SHA-1-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-server-end-point",
     {"O\233\353\317\134\232s\347\244\000{'\243\214\013\261bi\361"
     "\254\352s\260\346\2671\306 x18\201q\022S\312\333\366i\204"
     "\325p.\324&\354\337O\202i\275\340\215\014\317\362\012\347"
     "\2473\202\307\011u", 64},
     "p=tls-server-end-point,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=hzhrgAj6xgd4y"
     "QIejnb2tA==,i=4096",
     "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsT5vrz1yac+ekAHsno4wLsWJp8a"
     "zqc7DmtzHGIHgxOIFxElPK2/ZphNVwLtQm7N9Pgmm94I0Mz/IK56czgscJdQ"
     "==,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=CzpsvPAZMC"
     "Khxt9om2enlOCoDAQ=",
     "v=/mjq1mLpLDdszkYw2ApQnC5H3c8="},
    {"SCRAM-SHA-1",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     true,
     NULL,
     {"", 0},
     "y,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=hw==,i=4097",
     "c=eSws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=+9/v6F"
     "tFzCZvvRpn9pwFgYZknjQ=",
     "v=hN3CItus+mCIx1ANjxSsqRjSAbY="},
    {"SCRAM-SHA-1-PLUS",
     "us,er=1",
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppp",
     "ad=min,",
     "0nonce",
     false,
     "tls-exporter",
     {")\262 \324\234\326\241\355\203\226\027/F\374\344!\034\240"
     "\372\015\231&\336\346q\012(\233k\327\240\216", 32},
     "p=tls-exporter,a=ad=3Dmin=2C,n=us=2Cer=3D1,r=0nonce",
     "r=0nonce1,s=hzhrgAj6xgd4yQIejnb2tHGgllHiKhjRwvofy7ETi66HOGuA"
     "CPrGB3jJAh6Odva0caCWUeIqGNHC+h/LsROLroc4a4AI+sYHeMkCHo529rRx"
     "oJZR4ioY0cL6H8uxE4uu,i=4100",
     "c=cD10bHMtZXhwb3J0ZXIsYT1hZD0zRG1pbj0yQywpsiDUnNah7YOWFy9G/O"
     "QhHKD6DZkm3uZxCiiba9egjg==,r=0nonce1,p=RRTmCWA7MoxZgyt8jayWR"
     "KPAzpI=",
     "v=sZ2utzV6zt7VhBaBCDn7VBswsn0="},
    {"SCRAM-SHA-1",
     "user",
     "a b,c=d",
     "other",
     "0nonce",
     false,
     NULL,
     {"", 0},
     "n,a=other,n=user,r=0nonce",
     "r=0nonce!~,s=hzhrgAj6xgd4yQIejnb2tHGgllHiKhjRwvofy7ETi64=,i="
     "5000",
     "c=bixhPW90aGVyLA==,r=0nonce!~,p=61cC82lHOSnQP1BUauHFw+LyBs0=",
     "v=QUwSpp9emp6kW4bVnn7s93Tzm0M="},
    {"SCRAM-SHA-256",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     NULL,
     {"", 0},
     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=5IlFKz4VKe4+I"
     "01or1SYZA==,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=UESBTa"
     "z0CGcBkqdD4ygKC0d9UoQniGfGsfapB5aIBSM=",
     "v=C8MVtRu+2B6n/A5yELa2t1CUJ7ipzpDD79qqgD/y8rM="},
    {"SCRAM-SHA-256-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-exporter",
     {")\262 \324\234\326\241\355\203\226\027/F\374\344!\034\240"
     "\372\015\231&\336\346q\012(\233k\327\240\216", 32},
     "p=tls-exporter,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=5IlFKz4VKe4+I"
     "01or1SYZA==,i=4096",
     "c=cD10bHMtZXhwb3J0ZXIsLCmyINSc1qHtg5YXL0b85CEcoPoNmSbe5nEKKJ"
     "tr16CO,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=T+Vyj3"
     "5hduIt6NyoTCRKBLI9arGH1lAGOeDtU5gPUdU=",
     "v=s1kRNpZiq2xqRYldY7PBW/lsd9z1yOyx9Y56eef0gKM="},
    {"SCRAM-SHA-256-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-unique",
     {"\302r\004E\244Rg\2016\210\377s", 12},
     "p=tls-unique,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=5IlFKz4VKe4+I"
     "01or1SYZA==,i=4096",
     "c=cD10bHMtdW5pcXVlLCzCcgRFpFJngTaI/3M=,r=fyko+d2lbbFgONRv9qk"
     "xdawL3rfcNHYJY1ZVvWVs7j,p=lZ5URYn35xpUxLGpuJkoO5I4zjdqJ4EWFK"
     "ms+oaCULc=",
     "v=HuEhKvFXi1PnjxTqcGDR0AhQNfPI9fLhwerIS6aeETw="},
    {"SCRAM-SHA-256-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-server-end-point",
     {"O\233\353\317\134\232s\347\244\000{'\243\214\013\261bi\361"
     "\254\352s\260\346\2671\306 x18\201q\022S\312\333\366i\204"
     "\325p.\324&\354\337O\202i\275\340\215\014\317\362\012\347"
     "\2473\202\307\011u", 64},
     "p=tls-server-end-point,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=5IlFKz4VKe4+I"
     "01or1SYZA==,i=4096",
     "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsT5vrz1yac+ekAHsno4wLsWJp8a"
     "zqc7DmtzHGIHgxOIFxElPK2/ZphNVwLtQm7N9Pgmm94I0Mz/IK56czgscJdQ"
     "==,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=BSlbD/9wzw"
     "6gNPC30H4kT3AFobHtDJQKBrQPhfCzvBk=",
     "v=j7Kwks3t+4r1uJCgP0sP4beCTZo1oG7ZMzHfF/lJjh8="},
    {"SCRAM-SHA-256",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     true,
     NULL,
     {"", 0},
     "y,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=5A==,i=4097",
     "c=eSws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=5Gv54T"
     "mFaYAFY3Ye+yb+S5pIrbWYoTa30IjFYRGRblo=",
     "v=nIujorAqjyqgEM/NHJQz0mf+XzTjVZLkXyJZd+EOrXY="},
    {"SCRAM-SHA-256-PLUS",
     "us,er=1",
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppp",
     "ad=min,",
     "0nonce",
     false,
     "tls-exporter",
     {")\262 \324\234\326\241\355\203\226\027/F\374\344!\034\240"
     "\372\015\231&\336\346q\012(\233k\327\240\216", 32},
     "p=tls-exporter,a=ad=3Dmin=2C,n=us=2Cer=3D1,r=0nonce",
     "r=0nonce1,s=5IlFKz4VKe4+I01or1SYZH07/h8E/JKh4/0iRkqB2IbkiUUr"
     "PhUp7j4jTWivVJhkfTv+HwT8kqHj/SJGSoHYhuSJRSs+FSnuPiNNaK9UmGR9"
     "O/4fBPySoeP9IkZKgdiG,i=4100",
     "c=cD10bHMtZXhwb3J0ZXIsYT1hZD0zRG1pbj0yQywpsiDUnNah7YOWFy9G/O"
     "QhHKD6DZkm3uZxCiiba9egjg==,r=0nonce1,p=NPPCcGdEC5q9BHUUJF+mM"
     "ghRY1lGbZH/gUebgGd1+n0=",
     "v=c3u0v9nC+BzzZGu3nrBa5PM+fj8JDocSePOC6iSr0RA="},
    {"SCRAM-SHA-256",
     "user",
     "a b,c=d",
     "other",
     "0nonce",
     false,
     NULL,
     {"", 0},
     "n,a=other,n=user,r=0nonce",
     "r=0nonce!~,s=5IlFKz4VKe4+I01or1SYZH07/h8E/JKh4/0iRkqB2IY=,i="
     "5000",
     "c=bixhPW90aGVyLA==,r=0nonce!~,p=Id2sKPYlezVCPW6xTSkkAlOx9lOy"
     "sQAFKvwvpsttPO0=",
     "v=PZvs+nlZSgqShKb2z2hUzltEMucIOk1SkMn97rtT1Dw="},
    {"SCRAM-SHA-512",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     NULL,
     {"", 0},
     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=oKsO2kyCC2WnY"
     "Sw4X/G7Yw==,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=P3386k"
     "2JuQlHUKEWlfHHjbj63fuqJthjqS1hotjczQGSyXm4QJTEnrA6u9Ghi/15LU"
     "iLsouzJwL4WALtnSl61A==",
     "v=3YicdWIdYGUEISPW6FN1zwv1nZAq9CKedR9fSSf+xOKs28LWN6q5goiIDA"
     "sqQ/Jql8tQKmD/qg4P7gBHud25HQ=="},
    {"SCRAM-SHA-512-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-exporter",
     {")\262 \324\234\326\241\355\203\226\027/F\374\344!\034\240"
     "\372\015\231&\336\346q\012(\233k\327\240\216", 32},
     "p=tls-exporter,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=oKsO2kyCC2WnY"
     "Sw4X/G7Yw==,i=4096",
     "c=cD10bHMtZXhwb3J0ZXIsLCmyINSc1qHtg5YXL0b85CEcoPoNmSbe5nEKKJ"
     "tr16CO,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=ZN398r"
     "WLV8S/K3m2lUGzVvnMwd5ggGQC8VFZHP9B5x91CouwPUxPqv28DwtuKMQpcj"
     "ocF4KTWdJ5a0VhL6AK9Q==",
     "v=HCUgMFMM+v/SM3Tuy+QG8AWVI5n9hO70NzBazeVFsaYYXwpyGQPcQ7VMTz"
     "cDc5GyhknxXwrfDOgmQR8i7xlL2A=="},
    {"SCRAM-SHA-512-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-unique",
     {"\302r\004E\244Rg\2016\210\377s", 12},
     "p=tls-unique,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=oKsO2kyCC2WnY"
     "Sw4X/G7Yw==,i=4096",
     "c=cD10bHMtdW5pcXVlLCzCcgRFpFJngTaI/3M=,r=fyko+d2lbbFgONRv9qk"
     "xdawL3rfcNHYJY1ZVvWVs7j,p=GVxI8L1qMzwt2sJiA0TFQXxsUwYp+RhK5m"
     "6oUKmOEdtMwshfYFqQYbxLCLfWixOTSvHhrNDAzm1j0Rrx41YPBA==",
     "v=bO/rbsVxUDI69+Ht4pVwVH/o8hSCrnkZKNsFPP6AKXvY7JS06ewFPuS0QV"
     "Ghy1dTFKs+c6BUQmhfpWWvPlj57g=="},
    {"SCRAM-SHA-512-PLUS",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     false,
     "tls-server-end-point",
     {"O\233\353\317\134\232s\347\244\000{'\243\214\013\261bi\361"
     "\254\352s\260\346\2671\306 x18\201q\022S\312\333\366i\204"
     "\325p.\324&\354\337O\202i\275\340\215\014\317\362\012\347"
     "\2473\202\307\011u", 64},
     "p=tls-server-end-point,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=oKsO2kyCC2WnY"
     "Sw4X/G7Yw==,i=4096",
     "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsT5vrz1yac+ekAHsno4wLsWJp8a"
     "zqc7DmtzHGIHgxOIFxElPK2/ZphNVwLtQm7N9Pgmm94I0Mz/IK56czgscJdQ"
     "==,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=8LpOuCR6j1"
     "0uu9k1YukCE+6Jgu0Iwx4qg+xcT+upEm6bq0IXj2WQjNxXEOPha/ZFvSxHba"
     "k2IwmQzq4aNSVPkQ==",
     "v=Bl7bdS4v13g3m4czs1wZdgHy3yGRuW3ZuE84SVnbZ69/nArU2xIoA8pdEz"
     "A82qpvcqh/M9YL2hr2Gi5RARDNoQ=="},
    {"SCRAM-SHA-512",
     "user",
     "pencil",
     "",
     "fyko+d2lbbFgONRv9qkxdawL",
     true,
     NULL,
     {"", 0},
     "y,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=oA==,i=4097",
     "c=eSws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=4riGRX"
     "wpSOhjQpYdJRnurkvWcyOdxzWHu3TyNa4Z8dqeb+46uHbSBxgtH0B4GpGua0"
     "nTKzim55AREH6JNnkOqA==",
     "v=VHjvC3nuA1pj+9g1HvU7cJp6lhG6XqWaqEGEulubExYVxROUh+PIIS4w/C"
     "x36Sl1l3UnX5TKgASD1rSNnIm9OQ=="},
    {"SCRAM-SHA-512-PLUS",
     "us,er=1",
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
     "pppppppppppppppppppp",
     "ad=min,",
     "0nonce",
     false,
     "tls-exporter",
     {")\262 \324\234\326\241\355\203\226\027/F\374\344!\034\240"
     "\372\015\231&\336\346q\012(\233k\327\240\216", 32},
     "p=tls-exporter,a=ad=3Dmin=2C,n=us=2Cer=3D1,r=0nonce",
     "r=0nonce1,s=oKsO2kyCC2WnYSw4X/G7Y8h9FT1qPOZLmDmXv2Ffu0agqw7a"
     "TIILZadhLDhf8btjyH0VPWo85kuYOZe/YV+7RqCrDtpMggtlp2EsOF/xu2PI"
     "fRU9ajzmS5g5l79hX7tG,i=4100",
     "c=cD10bHMtZXhwb3J0ZXIsYT1hZD0zRG1pbj0yQywpsiDUnNah7YOWFy9G/O"
     "QhHKD6DZkm3uZxCiiba9egjg==,r=0nonce1,p=iNQcm7V8HslVtlKKcUPrY"
     "qd7Zw2D6l/iox7rHbkYxg0o4wn5cJ6CB47xprJjiql3G/ZqC8g3J9YhilVLU"
     "u3DQQ==",
     "v=cjgNcIOGXuddU9OoKNz0G5syMgD6fzHfvsR9oknsCfJMaL4w1byQUdmCvd"
     "2ILqTed6EnFnjv93PQobQCa/+wGQ=="},
    {"SCRAM-SHA-512",
     "user",
     "a b,c=d",
     "other",
     "0nonce",
     false,
     NULL,
     {"", 0},
     "n,a=other,n=user,r=0nonce",
     "r=0nonce!~,s=oKsO2kyCC2WnYSw4X/G7Y8h9FT1qPOZLmDmXv2Ffu0Y=,i="
     "5000",
     "c=bixhPW90aGVyLA==,r=0nonce!~,p=vLxTZLiZL52NDkvQUEQ76L0zN9Vm"
     "3YjB4/ylpHr6bhniF3VahiJV3sWzhnzsk/dGyKmqgMxPIW9Y3Rd6sVmMaA==",
     "v=sZDdKGsPa730FFcgttimysWL8ZuUD62NUgpehzlPBouskviHyWwhdn4lHt"
     "4vHMuC6jyw3mSm2iGjHUA00Oavtw=="},
};

/* With characters that SASLprep changes. */
static const scram_vector scram_prepared[] = {
    {"SCRAM-SHA-256",
     "us\303\251r",
     "I\302\255X",
     "",
     "0nonce",
     false,
     NULL,
     {"", 0},
     "n,,n=us\303\251r,r=0nonce",
     "r=0nonce1,s=c2FsdA==,i=4096",
     "c=biws,r=0nonce1,p=afnpxjKwOLIix13hwoOLrPeqyDRTAJxuio38kpqIc"
     "6A=",
     "v=EsIarg/jaw17qfjiobUDkaBv7GrF+bOx5pCZz1nDelI="},
    {"SCRAM-SHA-256",
     "us\303\251r",
     "\302\252",
     "",
     "0nonce",
     false,
     NULL,
     {"", 0},
     "n,,n=us\303\251r,r=0nonce",
     "r=0nonce1,s=c2FsdA==,i=4096",
     "c=biws,r=0nonce1,p=aPorU8OGmleERfkJG3PxSxc9DRkgOVn+Mx4kYaUti"
     "+Q=",
     "v=buzCIKjKsyDT8+rBQl/jMKTPZVxrMR6QJqd3g/k87Og="},
    {"SCRAM-SHA-256",
     "us\303\251r",
     "\342\205\250",
     "",
     "0nonce",
     false,
     NULL,
     {"", 0},
     "n,,n=us\303\251r,r=0nonce",
     "r=0nonce1,s=c2FsdA==,i=4096",
     "c=biws,r=0nonce1,p=afnpxjKwOLIix13hwoOLrPeqyDRTAJxuio38kpqIc"
     "6A=",
     "v=EsIarg/jaw17qfjiobUDkaBv7GrF+bOx5pCZz1nDelI="},
    {"SCRAM-SHA-256",
     "us\303\251r",
     "p\302\240q",
     "",
     "0nonce",
     false,
     NULL,
     {"", 0},
     "n,,n=us\303\251r,r=0nonce",
     "r=0nonce1,s=c2FsdA==,i=4096",
     "c=biws,r=0nonce1,p=TnRuo4Jlk7lF87xZ9OixWdXvCzz3B+WpHCL70HjYu"
     "aE=",
     "v=EOBezd2mZQZtPG9LcIQn8l6/YULsxPpx3osMje7ZaGM="},
    {"SCRAM-SHA-256",
     "us\303\251r",
     "e\314\201\303\251",
     "",
     "0nonce",
     false,
     NULL,
     {"", 0},
     "n,,n=us\303\251r,r=0nonce",
     "r=0nonce1,s=c2FsdA==,i=4096",
     "c=biws,r=0nonce1,p=ck9Fn+VXt+7TIGynQh3FFnDobia0wWHnbe13lxhKN"
     "1Y=",
     "v=+5HybRkyicrMb+x1LajTfjBYcWmG6Hev+/swI/ul/0Y="},
};

#endif
