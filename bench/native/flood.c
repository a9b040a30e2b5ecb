// Sends RATE requests a second over 64 connections, whatever the answers; prints how many came back with which status.
// usage: flood PORT RATE SECONDS [HEADER ...]
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#define CONNS 64
static long now_us(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000L + t.tv_nsec / 1000; }
typedef struct { int fd, busy, n; long t0; char buf[16384]; } conn;
static int cmp(const void *a, const void *b) { long x = *(long *)a, y = *(long *)b; return (x > y) - (x < y); }
int main(int argc, char **argv) {
  int port = atoi(argv[1]); double rate = atof(argv[2]), seconds = atof(argv[3]); char extra[1024] = "";
  for (int i = 4; i < argc; i++) { strcat(extra, argv[i]); strcat(extra, "\r\n"); }
  char body[] = "{\"model\":\"openai/mock\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"flood\"}]}", req[4096];
  int rn = sprintf(req, "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n%scontent-length: %zu\r\n\r\n%s", port, extra, strlen(body), body);
  static conn cs[CONNS]; int ep = epoll_create1(0); long total = rate * seconds, sent = 0, done = 0, skipped = 0, by[6] = {0}; long *took = calloc(total + 1, 8);
  for (int i = 0; i < CONNS; i++) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}; int one = 1;
    cs[i].fd = socket(AF_INET, SOCK_STREAM, 0); if (connect(cs[i].fd, (void *)&a, sizeof a)) { perror("connect"); return 1; }
    setsockopt(cs[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, 4); struct epoll_event e = {.events = EPOLLIN, .data.ptr = &cs[i]}; epoll_ctl(ep, EPOLL_CTL_ADD, cs[i].fd, &e);
  }
  long start = now_us(), end = start + seconds * 1e6; int next = 0;
  while (now_us() < end || (done < sent && now_us() < end + 2000000)) {
    long now = now_us(), due = now < end ? (now - start) * rate / 1e6 : sent + skipped;
    while (sent + skipped < due) {
      int tries = 0; while (tries < CONNS && cs[next].busy) { next = (next + 1) % CONNS; tries++; }
      if (tries == CONNS) { skipped++; continue; }
      conn *c = &cs[next]; c->busy = 1; c->n = 0; c->t0 = now_us(); if (send(c->fd, req, rn, MSG_NOSIGNAL) != rn) return 2; sent++; next = (next + 1) % CONNS;
    }
    struct epoll_event es[CONNS]; int n = epoll_wait(ep, es, CONNS, 1);
    for (int i = 0; i < n; i++) {
      conn *c = es[i].data.ptr; int r = recv(c->fd, c->buf + c->n, sizeof c->buf - 1 - c->n, 0); if (r <= 0) return 3; c->n += r; c->buf[c->n] = 0;
      char *h = strstr(c->buf, "\r\n\r\n"), *l = strcasestr(c->buf, "content-length: "); if (!h) continue;
      int whole = l && l < h ? c->n >= (h - c->buf) + 4 + atoi(l + 16) : strstr(h, "0\r\n\r\n") != NULL;
      if (whole) { by[c->buf[9] - '0']++; took[done++] = now_us() - c->t0; c->busy = 0; }
      else if (c->n > 15000 && !(l && l < h)) { memmove(h + 4, c->buf + c->n - 16, 17); c->n = h + 4 - c->buf + 16; }
    }
  }
  qsort(took, done, 8, cmp);
  printf("{\"sent\":%ld,\"skipped\":%ld,\"2xx\":%ld,\"4xx\":%ld,\"5xx\":%ld,\"p50_us\":%ld,\"p99_us\":%ld}\n", sent, skipped, by[2], by[4], by[5], took[done / 2], took[done * 99 / 100]);
}
