"""The programs that the swarm's services run, and the one that asks them without a pause."""

from __future__ import annotations

API = r"""
use IO::Socket::INET;
$| = 1;
my $stop = 0;
$SIG{TERM} = sub { $stop = 1 };
my $server = IO::Socket::INET->new(LocalPort => 8000, Listen => 50, ReuseAddr => 1) or die;
my $key = '';
if (open(my $file, '<', '/run/secrets/key')) { $key = <$file>; chomp $key }
print "release $ENV{RELEASE} listens\n";
while (!$stop) {
    my $client = $server->accept or next;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n/ }
    if ($ENV{BROKEN}) {
        print "release $ENV{RELEASE} cannot find its table\n";
        print $client "HTTP/1.0 503 Broken\r\n\r\nbroken";
    } else {
        print $client "HTTP/1.0 200 OK\r\n\r\nrelease $ENV{RELEASE} $key";
    }
    close $client;
}
"""
"""Answers with its release and its secret; with BROKEN set it runs, and is not healthy."""

HEALTHY = r"""
use IO::Socket::INET;
my $api = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => 8000, Timeout => 2) or die "no answer\n";
print $api "GET / HTTP/1.0\r\n\r\n";
my $line = <$api>;
print $line;
exit($line =~ / 200 / ? 0 : 1);
"""

GATE = r"""
use IO::Socket::INET;
use Socket;
$| = 1;
my $stop = 0;
$SIG{TERM} = sub { $stop = 1 };
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 50, ReuseAddr => 1) or die;
while (!$stop) {
    my $client = $server->accept or next;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n/ }
    my $answer = '';
    for my $try (1 .. 5) {
        my @found = gethostbyname('api');
        for my $address (map { inet_ntoa($_) } @found[4 .. $#found]) {
            eval {
                local $SIG{ALRM} = sub { die };
                alarm 1;
                my $api = IO::Socket::INET->new(PeerAddr => $address, PeerPort => 8000) or die;
                print $api "GET / HTTP/1.0\r\n\r\n";
                local $/;
                $answer = <$api>;
                alarm 0;
            };
            alarm 0;
            last if $answer =~ m{^HTTP/1.0 200};
        }
        last if $answer =~ m{^HTTP/1.0 200};
        select(undef, undef, undef, 0.2);
    }
    print $client $answer || "HTTP/1.0 502 Nobody\r\n\r\nnobody answers";
    close $client;
}
"""
"""What stands before a service, as a reverse proxy does: asks by name for who is healthy, and then the next one."""

STREAM = """
import json, sys, threading, time, urllib.request
urls, counts, failed, ends = sys.argv[1:], {}, [], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ends.set()), daemon=True).start()
number = 0
while not ends.is_set():
    url = urls[number % len(urls)]
    number += 1
    try:
        with urllib.request.urlopen(url, timeout=15) as answer:
            body = answer.read().decode()
        counts[body] = counts.get(body, 0) + 1
    except OSError as error:
        failed.append(f"{url}: {error}")
    if number == len(urls):
        print("flowing", flush=True)
    time.sleep(0.02)
print(json.dumps({"answers": counts, "failed": failed}), flush=True)
"""
"""Asks one address after another until its input ends; then says what came back."""


def perl(program: str) -> list[str]:
    """Return the command that runs a program, as a compose file has it: with each dollar sign doubled."""
    return ["perl", "-e", program.replace("$", "$$")]
