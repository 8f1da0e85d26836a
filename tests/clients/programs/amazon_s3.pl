# Perl's Amazon::S3: one line per call, one line per result. ../programs.py documents the lines.
use strict;
use warnings;
use Amazon::S3;
use URI::Escape qw(uri_escape_utf8 uri_unescape);
use Encode qw(decode_utf8);

my ($port, $key, $secret) = @ARGV;
my $part = 5 * 1024 * 1024;
my $s3 = Amazon::S3->new({
    aws_access_key_id => $key, aws_secret_access_key => $secret, host => "127.0.0.1:$port", secure => 0,
    dns_bucket_names => 0, retry => 0, region => 'us-east-1',
});

sub at { return $s3->bucket($_[0]) }

# Raises the last error, which this module stores.
sub raise_error {
    my ($bucket) = @_;
    my $response = $bucket ? $bucket->last_response : $s3->last_response;
    my $status = $response ? $response->code : 0;
    die { status => $status, text => ($s3->err // '') . ' ' . ($s3->errstr // '') . ($response ? ' ' . $response->status_line : '') };
}

my %calls = (
    create_bucket => sub { $s3->add_bucket({ bucket => $_[0] }) || raise_error(); () },
    delete_bucket => sub { $s3->delete_bucket({ bucket => $_[0] }) || raise_error(); () },
    put => sub {
        my ($bucket, $name, $path, $type, %metadata) = @_;
        my %more = (content_type => $type, map { ("x-amz-meta-$_" => $metadata{$_}) } keys %metadata);
        # An empty object is sent without a file, because this module would read an empty file forever.
        if (-s $path) { at($bucket)->add_key_filename($name, $path, \%more) || raise_error(at($bucket)) }
        else { at($bucket)->add_key($name, '', \%more) || raise_error(at($bucket)) }
        ();
    },
    head => sub {
        my ($bucket, $name) = @_;
        my $found = at($bucket)->head_key($name) || die { status => 404, text => 'not there' };
        my @metadata = map { my $word = $_; $word =~ s/^x-amz-meta-//i ? (lc $word, $found->{$_}) : () } keys %{$found};
        ($found->{content_length}, $found->{content_type}, $found->{etag}, @metadata);
    },
    get => sub {
        my ($bucket, $name, $path) = @_;
        at($bucket)->get_key_filename($name, 'GET', $path) || die { status => 404, text => 'not there' };
        ();
    },
    list => sub {
        my ($bucket, $prefix, $delimiter, $page) = @_;
        my (@names, $marker);
        while (1) {
            my $rows = at($bucket)->list_v2({ prefix => $prefix, 'max-keys' => $page, (length $delimiter ? (delimiter => $delimiter) : ()),
                (defined $marker ? (marker => $marker) : ()) }) || raise_error(at($bucket));
            push @names, map { ('key', $_->{key}) } @{ $rows->{keys} };
            push @names, map { ('group', $_) } @{ $rows->{common_prefixes} || [] };
            return @names if !$rows->{is_truncated};
            $marker = $rows->{next_marker};
        }
    },
    upload => sub {
        my ($bucket, $name, $path) = @_;
        open my $file, '<:raw', $path or die "$path: $!";
        my $read = sub { return if !read $file, my $bytes, $part; return (\$bytes, length $bytes) };
        at($bucket)->upload_multipart_object({ key => $name, callback => $read });
        ();
    },
    copy => sub {
        my ($source, $from, $bucket, $name) = @_;
        at($bucket)->copy_object(source => $from, key => $name, bucket => $source) || raise_error(at($bucket));
        ();
    },
    delete => sub { at($_[0])->delete_key($_[1]) || raise_error(at($_[0])); () },
);

binmode STDIN;
binmode STDOUT;
$| = 1;
while (my $line = <STDIN>) {
    chomp $line;
    my ($op, @words) = map { decode_utf8(uri_unescape($_)) } split /\t/, $line, -1;
    my @result = eval { ('ok', $calls{$op}->(@words)) };
    if (my $error = $@) {
        @result = ref $error ? ('error', $error->{status}, $error->{text}) : ('error', 0, $error);
    }
    print join("\t", map { my $text = $_ // ''; utf8::is_utf8($text) ? uri_escape_utf8($text) : uri_escape_utf8(decode_utf8($text)) } @result), "\n";
}
