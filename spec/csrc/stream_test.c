/*
 * stream_test.c - a message that is put together in the receive buffer: spans,
 * gaps, octets from elsewhere, growth, what is unread behind it and memory that
 * is not there, against a model that copies everything. And the pool that the
 * buffers come from.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "stream.h"

/* Numbers that are the same in every run. */
static uint64_t seed;
static size_t below(size_t bound) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (size_t)(seed >> 33) % bound;
}

/* ------------------------------------------------------------ memory */

/* Every block and its size; each `hunger`-th request is refused. */
static struct {
  void *block;
  size_t size;
} blocks[64];
static size_t hunger, requests;

static size_t slot_of(const void *block) {
  size_t i = 0;
  while (i < 64 && blocks[i].block != block) i++;
  must(i < 64, "a block that is ours, or room for one");
  return i;
}

static void *resize(void *state, void *block, size_t old, size_t size) {
  (void)state;
  if (size > 0 && hunger > 0 && ++requests % hunger == 0) return NULL;
  size_t slot = slot_of(block);
  CHECK(block == NULL || blocks[slot].size == old);
  /* Always elsewhere: nothing may rely on a block that stays. */
  void *moved = size > 0 ? malloc(size) : NULL;
  must(size == 0 || moved != NULL, "memory");
  if (block != NULL && size > 0) memcpy(moved, block, old < size ? old : size);
  free(block);
  blocks[slot].block = moved;
  blocks[slot].size = size;
  return moved;
}

static const pop3_allocator allocator = {resize, NULL};

static size_t count_blocks(void) {
  size_t count = 0;
  for (size_t i = 0; i < 64; i++) count += blocks[i].block != NULL;
  return count;
}

/* ------------------------------------------------------------ a stream */

/* What the peer sent, how much of it was received and consumed, and the
 * message so far. */
enum { MOST_SENT = 24 << 20 };
static pop3_stream stream;
static int peer;
static char *sent, *kept;
static size_t sent_size, received, consumed, kept_size;

static void open_stream(pop3_buffers *buffers) {
  int fds[2], room = 1 << 20;
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0,
       "a pair of sockets");
  setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  pop3_stream_init(&stream, &allocator, buffers);
  stream.fd = fds[0];
  peer = fds[1];
  sent_size = received = consumed = kept_size = 0;
}

static void close_stream(void) {
  pop3_stream_close(&stream);
  close(peer);
  CHECK(count_blocks() == 0);
}

static bool equals(pop3_span span, const char *octets, size_t size) {
  return span.size == size && memcmp(span.data, octets, size) == 0;
}

static void compare(void) {
  CHECK(equals(pop3_stream_unread(&stream), sent + consumed,
               received - consumed));
  CHECK(equals(pop3_stream_kept(&stream), kept, kept_size));
}

/* The peer sends up to `size` octets; near ones differ, and far ones, too. */
static void send_octets(size_t size) {
  must(sent_size + size <= MOST_SENT, "room for what is sent");
  for (size_t i = sent_size; i < sent_size + size; i++)
    sent[i] = (char)(i * 7 + i / 251 + i / 65521);
  ssize_t now = send(peer, sent + sent_size, size, MSG_NOSIGNAL);
  if (now > 0) sent_size += (size_t)now;
}

static pop3_error receive(void) {
  pop3_failure failure;
  int system = 0;
  stream.budget = 1 << 20;
  stream.asked = false;
  pop3_error error = pop3_stream_receive(&stream, &system, &failure);
  if (error == POP3_E_OK) received += pop3_stream_unread(&stream).size;
  return error;
}

/* Take `size` octets out of what is unread, as an event does. */
static const char *consume(size_t size) {
  const char *at = pop3_stream_unread(&stream).data;
  pop3_stream_consume(&stream, size);
  consumed += size;
  return at;
}

static bool succeeded(pop3_error error) {
  CHECK(error == POP3_E_OK || (error == POP3_E_MEMORY && hunger > 0));
  return error == POP3_E_OK;
}

static void add(const char *octets, size_t size) {
  memcpy(kept + kept_size, octets, size);
  kept_size += size;
}

static void keep(const char *at, size_t size) {
  static char octets[1 << 20];
  pop3_span text = {at, size};
  must(size <= sizeof octets, "room for a piece");
  memcpy(octets, at, size);
  if (succeeded(pop3_stream_keep(&stream, text))) add(octets, size);
}

/* A piece of a message: a few octets from elsewhere, then some of the buffer,
 * which come at once or in two parts. */
static void keep_piece(const char *lead, const char *at, size_t size) {
  static char octets[1 << 20];
  pop3_span before = {lead, strlen(lead)};
  pop3_span text = {at, size};
  must(size <= sizeof octets, "room for a piece");
  memcpy(octets, at, size);
  if (before.size > 0) {
    if (!succeeded(pop3_stream_insert(&stream, before, &text))) return;
    add(lead, before.size);
    CHECK(equals(text, octets, size)); /* it has moved at most */
  }
  size_t half = below(2) ? below(size + 1) : size;
  keep(text.data, half);
  keep(text.data + half, size - half);
}

/* ------------------------------------------------------------ any order */

static void any_event(void) {
  static const char *const leads[] = {"", "", "", "\r", "<>", "three"};
  if (below(12) == 0) keep("\r", 1); /* it ended the input before */
  size_t size = 1 + below(received - consumed);
  const char *at = consume(size);
  size_t skipped = below(2) ? below(size < 4 ? size : 4) : 0;
  size_t text = below(8) ? size - skipped : below(size - skipped + 1);
  keep_piece(leads[below(6)], at + skipped, text);
}

static void any_detach(void) {
  bool had = pop3_stream_kept(&stream).size > 0;
  char *block = pop3_stream_detach(&stream);
  if (block == NULL) return;
  CHECK(had);
  CHECK(memcmp(block, kept, kept_size) == 0 && block[kept_size] == '\0');
  pop3_release(&allocator, block, kept_size + 1);
  kept_size = 0;
}

static void any_operation(size_t most) {
  if (received == consumed && below(8) > 0) {
    send_octets(1 + below(most));
    pop3_error error = receive();
    CHECK(error == POP3_E_OK || (error == POP3_E_MEMORY && hunger > 0));
    return;
  }
  size_t choice = below(32);
  if (choice == 0) {
    pop3_stream_drop(&stream);
    kept_size = 0;
  } else if (choice == 1) {
    any_detach();
  } else if (choice == 2) {
    pop3_stream_rest(&stream);
  } else if (received > consumed) {
    any_event();
  }
}

static void play(size_t most, size_t operations, bool pooled) {
  pop3_buffers *buffers = pooled ? pop3_buffers_new(&allocator) : NULL;
  open_stream(buffers);
  for (size_t i = 0; good && i < operations; i++) {
    any_operation(most);
    compare();
  }
  hunger = 0;
  pop3_buffers_release(buffers);
  close_stream();
}

static void small_pieces_in_any_order(void) {
  for (seed = 1; good && seed < 4000000; seed += 20011) play(40, 300, seed & 2);
}

static void large_pieces_in_any_order(void) {
  for (uint64_t round = 1; good && round <= 24; round++) {
    seed = round;
    play(160000, 120, round & 1);
  }
}

static void memory_that_fails_changes_nothing(void) {
  for (uint64_t round = 1; good && round <= 200; round++) {
    seed = round;
    pop3_buffers *none = NULL;
    open_stream(none);
    hunger = 2 + below(4);
    for (size_t i = 0; good && i < 60; i++) {
      any_operation(round % 4 ? 3000 : 100000);
      compare();
    }
    hunger = 0;
    close_stream();
  }
}

/* ------------------------------------------------------------ one by one */

static void octets_from_elsewhere_find_a_place(void) {
  open_stream(NULL);
  send_octets(10);
  CHECK(receive() == POP3_E_OK);
  const char *at = consume(4);
  keep(at, 3); /* a gap of one octet */
  keep("\r", 1);
  compare();
  keep("\r", 1); /* no gap: what is unread moves up */
  compare();
  at = consume(3);
  keep_piece("<>", at + 1, 2); /* a gap of one, two are needed */
  compare();
  keep(consume(3), 3);
  compare();
  CHECK(kept_size == 3 + 2 + 4 + 3);
  close_stream();
}

/* The buffer is full to its last octet, and one more comes between. */
static void a_full_buffer_grows_for_one_octet(void) {
  open_stream(NULL);
  while (sent_size < POP3_BUFFER_SIZE + 1000)
    send_octets(POP3_BUFFER_SIZE + 1000 - sent_size);
  CHECK(receive() == POP3_E_OK);
  CHECK(received == POP3_BUFFER_SIZE);
  keep_piece("\r", consume(100), 100);
  compare();
  keep(consume(POP3_BUFFER_SIZE - 100), POP3_BUFFER_SIZE - 100);
  CHECK(receive() == POP3_E_OK);
  keep(consume(1000), 1000);
  compare();
  CHECK(kept_size == POP3_BUFFER_SIZE + 1001);
  close_stream();
}

static void a_full_buffer_grows_for_many_octets(void) {
  static char octets[200000];
  pop3_span text = {octets, sizeof octets};
  open_stream(NULL);
  CHECK(pop3_stream_keep(&stream, text) == POP3_E_OK);
  CHECK(pop3_stream_kept(&stream).size == sizeof octets);
  close_stream();
}

static void a_message_is_given_away(void) {
  open_stream(NULL);
  send_octets(10);
  CHECK(receive() == POP3_E_OK);
  CHECK(pop3_stream_detach(&stream) == NULL); /* there is none */
  (void)consume(1);
  keep(consume(4), 4);
  CHECK(pop3_stream_detach(&stream) == NULL); /* not at the front */
  compare();
  (void)consume(5);
  send_octets(100000);
  CHECK(receive() == POP3_E_OK); /* now it is */
  keep(consume(20000), 20000);
  char *block = pop3_stream_detach(&stream);
  CHECK(block != NULL && memcmp(block, kept, 20004) == 0);
  CHECK(block != NULL && block[20004] == '\0');
  pop3_release(&allocator, block, 20005);
  kept_size = 0;
  compare();
  CHECK(received - consumed >= 40000); /* what was unread still is */
  close_stream();
}

/* What a large message needed is given back while others are unread. */
static void a_large_block_shrinks_when_it_is_dropped(void) {
  open_stream(NULL);
  while (kept_size < 1000000) {
    send_octets(60000);
    CHECK(receive() == POP3_E_OK);
    size_t size = received - consumed;
    keep(consume(size), size - 1);
  }
  compare();
  CHECK(stream.room > 1000000);
  send_octets(1000);
  CHECK(receive() == POP3_E_OK);
  pop3_stream_drop(&stream);
  kept_size = 0;
  compare();
  CHECK(stream.room == POP3_BUFFER_SIZE);
  (void)consume(1000);
  pop3_stream_drop(&stream);
  CHECK(stream.data == NULL);
  close_stream();
}

static void an_idle_stream_has_no_buffer(void) {
  open_stream(NULL);
  send_octets(100);
  CHECK(receive() == POP3_E_OK);
  (void)consume(50);
  pop3_stream_rest(&stream);
  CHECK(stream.data != NULL); /* something is unread */
  keep(consume(50), 50);
  pop3_stream_rest(&stream);
  CHECK(stream.data != NULL); /* something is kept */
  compare();
  pop3_stream_drop(&stream);
  CHECK(stream.data == NULL && count_blocks() == 0);
  close_stream();
}

/* ------------------------------------------------------------ the pool */

static void a_pool_keeps_a_few_buffers(void) {
  char *taken[POP3_BUFFERS_KEPT + 3];
  pop3_buffers *pool = pop3_buffers_new(&allocator);
  for (int i = 0; i < POP3_BUFFERS_KEPT + 3; i++)
    taken[i] = pop3_buffers_take(pool, &allocator);
  CHECK(count_blocks() == POP3_BUFFERS_KEPT + 4);
  for (int i = 0; i < POP3_BUFFERS_KEPT + 3; i++) {
    memset(taken[i], i, POP3_BUFFER_SIZE);
    pop3_buffers_give(pool, &allocator, taken[i]);
  }
  pop3_buffers_give(pool, &allocator, NULL);
  CHECK(count_blocks() == POP3_BUFFERS_KEPT + 1);
  for (int i = 0; i < POP3_BUFFERS_KEPT; i++) {
    taken[i] = pop3_buffers_take(pool, &allocator);
    CHECK(i == 0 || taken[i] != taken[i - 1]);
  }
  CHECK(count_blocks() == POP3_BUFFERS_KEPT + 1); /* none is new */
  for (int i = 0; i < POP3_BUFFERS_KEPT; i++)
    pop3_buffers_give(pool, &allocator, taken[i]);
  pop3_buffers_release(pool);
  CHECK(count_blocks() == 0);
}

static void a_pool_lives_as_long_as_it_is_used(void) {
  pop3_buffers *pool = pop3_buffers_new(&allocator);
  CHECK(pop3_buffers_retain(pool) == pool);
  CHECK(pop3_buffers_retain(pool) == pool);
  pop3_buffers_give(pool, &allocator, pop3_buffers_take(pool, &allocator));
  pop3_buffers_release(pool);
  pop3_buffers_release(pool);
  CHECK(count_blocks() == 2); /* the pool and its buffer */
  pop3_buffers_give(pool, &allocator, pop3_buffers_take(pool, &allocator));
  CHECK(count_blocks() == 2);
  pop3_buffers_release(pool);
  CHECK(count_blocks() == 0);
}

static void there_may_be_no_pool(void) {
  CHECK(pop3_buffers_retain(NULL) == NULL);
  char *buffer = pop3_buffers_take(NULL, &allocator);
  CHECK(buffer != NULL && count_blocks() == 1);
  memset(buffer, 1, POP3_BUFFER_SIZE);
  pop3_buffers_give(NULL, &allocator, buffer);
  CHECK(count_blocks() == 0);
  pop3_buffers_release(NULL);
  hunger = 1;
  CHECK(pop3_buffers_new(&allocator) == NULL);
  CHECK(pop3_buffers_take(NULL, &allocator) == NULL);
  hunger = 0;
}

/* Connections one after the other use the same block. */
static void streams_share_a_pool(void) {
  pop3_buffers *pool = pop3_buffers_new(&allocator);
  pop3_stream one, two;
  for (int i = 0; i < 3; i++) {
    open_stream(pool);
    one = stream;
    int first = peer;
    open_stream(pool);
    two = stream;
    for (int turn = 0; turn < 2; turn++) {
      pop3_stream *now = turn ? &two : &one;
      pop3_failure failure;
      int system;
      CHECK(send(turn ? peer : first, "+OK", 3, 0) == 3);
      now->budget = 1 << 20;
      CHECK(pop3_stream_receive(now, &system, &failure) == POP3_E_OK);
      CHECK(equals(pop3_stream_unread(now), "+OK", 3));
    }
    pop3_stream_consume(&one, 3);
    pop3_stream_rest(&one);
    CHECK(count_blocks() == 3); /* the pool, and two buffers */
    pop3_stream_close(&one);
    pop3_stream_close(&two); /* with octets unread */
    close(first);
    close(peer);
    CHECK(count_blocks() == 3);
  }
  CHECK(pool->references == 1);
  pop3_buffers_release(pool);
  CHECK(count_blocks() == 0);
}

/* ------------------------------------------------------------ all */

static const test tests[] = {
    TEST(small_pieces_in_any_order),
    TEST(large_pieces_in_any_order),
    TEST(memory_that_fails_changes_nothing),
    TEST(octets_from_elsewhere_find_a_place),
    TEST(a_full_buffer_grows_for_one_octet),
    TEST(a_full_buffer_grows_for_many_octets),
    TEST(a_message_is_given_away),
    TEST(a_large_block_shrinks_when_it_is_dropped),
    TEST(an_idle_stream_has_no_buffer),
    TEST(a_pool_keeps_a_few_buffers),
    TEST(a_pool_lives_as_long_as_it_is_used),
    TEST(there_may_be_no_pool),
    TEST(streams_share_a_pool),
};

int main(void) {
  sent = malloc(MOST_SENT);
  kept = malloc(2 * MOST_SENT);
  must(sent != NULL && kept != NULL, "memory");
  int status = RUN(tests);
  free(sent);
  free(kept);
  return status;
}
