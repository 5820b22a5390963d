# Perl's Net::POP3 as a client of the benchmark; see bench/README.md.
use strict;
use warnings;
use Net::POP3;

my $verb = shift @ARGV;
my %options = map { split /=/, $_, 2 } @ARGV;
my $out;
open $out, '>:raw', $options{out} if $options{out};

sub cannot {
  print STDERR "@_\n";
  exit 77;
}

sub open_session {
  my @tls = $options{ca} ? (SSL => 1, SSL_ca_file => $options{ca}) : ();
  my $conn = Net::POP3->new('127.0.0.1', Port => $options{port}, @tls)
    or die "no connection: $@";
  $conn->login('u', 'p') or die 'no login';
  return $conn;
}

# A file handle that takes lines: Net::POP3's way of a callback.
package Sink {
  sub TIEHANDLE { return bless {}, shift }
  sub PRINT { shift; $main::octets += length for @_; return 1 }
}
our $octets = 0;

sub fetch {
  cannot('QUIT waits') if $options{quit};
  my $conn = open_session();
  tie *SINK, 'Sink';
  for my $n (1 .. ($options{messages} || 1)) {
    if ($options{deliver} eq 'callback') {
      $conn->get($n, $out || \*SINK) or die "no message $n";
      next;
    }
    my $lines = $conn->get($n) or die "no message $n";
    if ($options{deliver} eq 'string') {
      my $text = join '', @$lines;
      $octets += length $text;
    }
    print $out @$lines if $out;
  }
  $conn->quit;
  print "{}\n"; # line ends are LF here: nothing to compare
}

sub listing {
  my $conn = open_session();
  my ($sizes, $uids) = ($conn->list, $conn->uidl);
  my ($items, $sum) = (0, 0);
  if ($options{as} eq 'iterate') {
    for my $n (keys %$sizes) {
      $items++;
      $sum += $sizes->{$n};
      my $uid = $uids->{$n};
    }
  }
  $conn->quit;
  print $items > 0 ? "{\"items\": $items, \"octets\": $sum}\n" : "{}\n";
}

sub session {
  cannot('Net::POP3 has no way to give a session')
    if $options{ca} && $options{resume};
  for (1 .. $options{sessions}) {
    my $conn = open_session();
    $conn->popstat;
    $conn->quit;
  }
  print "{}\n";
}

if ($options{ca} && !Net::POP3->can_ssl) { cannot('no IO::Socket::SSL') }
my %verbs = (
  start => sub { print "{}\n" },
  fetch => \&fetch,
  listing => \&listing,
  session => \&session,
);
cannot("no $verb") unless $verbs{$verb};
cannot('no such delivery') if ($options{deliver} || '') eq 'lines' && $options{ca};
$verbs{$verb}->();
