/*
 * A POP3 client that measures: sessions in threads, each with a mailbox of its own.
 *
 *     pop3_client [-l] [-r] [-n SECONDS] [-o FILE] PORT THREADS SESSIONS NAME PASSWORD
 *
 * Each thread has so many sessions, one after the other: it logs in, asks STAT and leaves with QUIT. Thread i uses the account
 * NAMEi, from 0. In between, -l asks LIST and UIDL, -r those and every message, -n sends NOOP every ten milliseconds for so many
 * seconds. -o writes the messages of the first session of thread 0 to FILE, each as a line with its octets and then these, without
 * the stuffing of RFC 1939 3.
 *
 * Every answer must begin with +OK; LIST and UIDL must have as many lines as STAT said there are messages, the sizes of LIST
 * must add up to what STAT said, and each message must have the size that LIST said. Else it says what was wrong and ends
 * with 1. What it measured is one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A line of POP3 has 512 octets at most, one of a message 1000 and more: what is longer than this is no test message of ours. */
#define ROOM 65536
/* Nothing that is measured takes longer to be answered; who waits that long has found a fault. */
#define PATIENCE_SECONDS 120
#define NOOP_PAUSE_NANOSECONDS 10000000L

/* What is timed: a whole session; from its connection to the answer to STAT; one message; one NOOP. */
enum kind { SESSION, READY, MESSAGE, NOOP, KINDS };
static const char *const NAMES[KINDS] = {"session", "ready", "message", "noop"};

struct samples {
    double *values;
    size_t count, room;
};

struct client {
    pthread_t thread;
    int number, socket;
    size_t first, end; /* octets of buffer that have come and were not looked at */
    unsigned long sessions, messages, octets;
    struct samples samples[KINDS];
    char buffer[ROOM];
};

static int port, threads;
static long sessions;
static bool wants_lists, wants_messages;
static double noop_seconds;
static const char *name, *password;
static FILE *copy;

static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("pop3_client: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void add(struct samples *samples, double seconds)
{
    if (samples->count == samples->room) {
        samples->room = samples->room ? 2 * samples->room : 1024;
        samples->values = realloc(samples->values, samples->room * sizeof *samples->values);
        if (samples->values == NULL)
            give_up("no memory");
    }
    samples->values[samples->count++] = seconds;
}

/* The next line without its CRLF, ended by a NUL; it stays until the next call. */
static char *line_of(struct client *client, size_t *length)
{
    for (;;) {
        char *start = client->buffer + client->first;
        char *newline = memchr(start, '\n', client->end - client->first);
        if (newline != NULL) {
            client->first = (size_t)(newline + 1 - client->buffer);
            if (newline == start || newline[-1] != '\r')
                give_up("a line that does not end with CRLF");
            newline[-1] = '\0';
            *length = (size_t)(newline - 1 - start);
            return start;
        }
        memmove(client->buffer, start, client->end - client->first);
        client->end -= client->first;
        client->first = 0;
        if (client->end == ROOM)
            give_up("a line of more than %d octets", ROOM);
        ssize_t come = recv(client->socket, client->buffer + client->end, ROOM - client->end, 0);
        if (come == 0)
            give_up("the server closed the connection");
        if (come < 0)
            give_up("no answer: %s", strerror(errno));
        client->end += (size_t)come;
    }
}

static char *answer(struct client *client, const char *to)
{
    size_t length;
    char *line = line_of(client, &length);
    if (strncmp(line, "+OK", 3) != 0)
        give_up("%s was answered: %s", to, line);
    return line;
}

static char *ask(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));

static char *ask(struct client *client, const char *format, ...)
{
    char command[600];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof command - 2, format, arguments);
    va_end(arguments);
    memcpy(command + length, "\r\n", 2);
    if (send(client->socket, command, (size_t)length + 2, MSG_NOSIGNAL) != length + 2)
        give_up("sending: %s", strerror(errno));
    command[4] = '\0'; /* the password is nobody's business */
    return answer(client, command);
}

/* The number behind the first space of a line; for LIST the size of a message. */
static unsigned long number_behind(const char *line, char **rest)
{
    const char *space = strchr(line, ' ');
    char *end = NULL;
    unsigned long number = space != NULL ? strtoul(space + 1, &end, 10) : 0;
    if (end == NULL || end == space + 1)
        give_up("a number is missing: %s", line);
    if (rest != NULL)
        *rest = end;
    return number;
}

/* The lines of an answer of several; sizes gets the number of each, when it is not NULL. */
static void read_lines(struct client *client, unsigned long expected, unsigned long *sizes, const char *what)
{
    unsigned long count = 0;
    size_t length;
    for (;;) {
        char *line = line_of(client, &length);
        if (strcmp(line, ".") == 0)
            break;
        if (count == expected)
            give_up("%s has more than %lu lines", what, expected);
        if (strtoul(line, NULL, 10) != count + 1)
            give_up("%s has %s in the place of message %lu", what, line, count + 1);
        if (sizes != NULL)
            sizes[count] = number_behind(line, NULL);
        count++;
    }
    if (count != expected)
        give_up("%s has %lu lines, STAT told of %lu messages", what, count, expected);
}

/* One message; copy gets it, when it is not NULL. */
static void read_message(struct client *client, unsigned long expected, FILE *to)
{
    unsigned long octets = 0;
    size_t length;
    if (to != NULL)
        fprintf(to, "%lu\n", expected);
    for (;;) {
        char *line = line_of(client, &length);
        if (line[0] == '.') {
            if (length == 1)
                break;
            line++, length--;
        }
        octets += length + 2;
        if (to != NULL && (fwrite(line, 1, length, to) != length || fputs("\r\n", to) == EOF))
            give_up("writing the messages: %s", strerror(errno));
    }
    if (octets != expected)
        give_up("a message of %lu octets, LIST told of %lu", octets, expected);
    client->messages++;
    client->octets += octets;
}

static void read_mailbox(struct client *client, unsigned long messages, unsigned long octets, FILE *to)
{
    unsigned long *sizes = calloc(messages + 1, sizeof *sizes), sum = 0;
    if (sizes == NULL)
        give_up("no memory");
    ask(client, "LIST");
    read_lines(client, messages, sizes, "LIST");
    for (unsigned long i = 0; i < messages; i++)
        sum += sizes[i];
    if (sum != octets)
        give_up("the sizes of LIST add up to %lu, STAT told of %lu", sum, octets);
    ask(client, "UIDL");
    read_lines(client, messages, NULL, "UIDL");
    for (unsigned long i = 0; wants_messages && i < messages; i++) {
        double began = now();
        ask(client, "RETR %lu", i + 1);
        read_message(client, sizes[i], to);
        add(&client->samples[MESSAGE], now() - began);
    }
    free(sizes);
}

static void send_noops(struct client *client)
{
    const struct timespec pause = {0, NOOP_PAUSE_NANOSECONDS};
    for (double end = now() + noop_seconds; now() < end; nanosleep(&pause, NULL)) {
        double began = now();
        ask(client, "NOOP");
        add(&client->samples[NOOP], now() - began);
    }
}

static void connect_to_server(struct client *client)
{
    const struct timeval patience = {PATIENCE_SECONDS, 0};
    const int yes = 1;
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->socket = socket(AF_INET, SOCK_STREAM, 0);
    client->first = client->end = 0;
    if (client->socket < 0 || setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) < 0 ||
        connect(client->socket, (struct sockaddr *)&where, sizeof where) < 0)
        give_up("connecting: %s", strerror(errno));
}

static void session(struct client *client)
{
    double began = now();
    char *rest;
    connect_to_server(client);
    answer(client, "the connection");
    ask(client, "USER %s%d", name, client->number);
    ask(client, "PASS %s", password);
    char *line = ask(client, "STAT");
    unsigned long messages = number_behind(line, &rest), octets = number_behind(rest, NULL);
    add(&client->samples[READY], now() - began);
    if (wants_lists)
        read_mailbox(client, messages, octets, client->number == 0 && client->sessions == 0 ? copy : NULL);
    if (noop_seconds > 0)
        send_noops(client);
    ask(client, "QUIT");
    /* The mailbox is free for the next session when the server has closed, not when it has said so. */
    if (recv(client->socket, client->buffer, 1, 0) != 0)
        give_up("the connection stays open after QUIT");
    close(client->socket);
    add(&client->samples[SESSION], now() - began);
    client->sessions++;
}

static void *run(void *argument)
{
    struct client *client = argument;
    for (long i = 0; i < sessions; i++)
        session(client);
    return NULL;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Percentiles by nearest rank, in milliseconds. */
static void print_latency(struct client *clients, enum kind kind)
{
    static const double RANKS[] = {0.5, 0.9, 0.99, 1};
    static const char *const LABELS[] = {"p50", "p90", "p99", "max"};
    struct samples all = {0};
    for (int i = 0; i < threads; i++)
        for (size_t j = 0; j < clients[i].samples[kind].count; j++)
            add(&all, clients[i].samples[kind].values[j]);
    printf(", \"%s_ms\": {\"count\": %zu", NAMES[kind], all.count);
    if (all.count > 0)
        qsort(all.values, all.count, sizeof *all.values, compare);
    for (size_t i = 0; all.count > 0 && i < sizeof RANKS / sizeof *RANKS; i++) {
        size_t rank = (size_t)(RANKS[i] * (double)all.count + 0.999999);
        printf(", \"%s\": %.4f", LABELS[i], 1000 * all.values[rank > 0 ? rank - 1 : 0]);
    }
    putchar('}');
    free(all.values);
}

static long positive(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < 1 || number > 100000000)
        give_up("not a number from 1 on: %s", text);
    return number;
}

int main(int count, char **words)
{
    int option;
    while ((option = getopt(count, words, "lrn:o:")) != -1) {
        if (option == 'l')
            wants_lists = true;
        else if (option == 'r')
            wants_lists = wants_messages = true;
        else if (option == 'n')
            noop_seconds = (double)positive(optarg);
        else if (option == 'o' && (copy = fopen(optarg, "wb")) == NULL)
            give_up("%s: %s", optarg, strerror(errno));
        else if (option == '?')
            return 2;
    }
    if (count - optind != 5)
        give_up("wanted: [-l] [-r] [-n SECONDS] [-o FILE] PORT THREADS SESSIONS NAME PASSWORD");
    port = (int)positive(words[optind]);
    threads = (int)positive(words[optind + 1]);
    sessions = positive(words[optind + 2]);
    name = words[optind + 3];
    password = words[optind + 4];
    if (strlen(name) + strlen(password) > 500)
        give_up("name or password is too long");

    struct client *clients = calloc((size_t)threads, sizeof *clients);
    unsigned long done = 0, messages = 0, octets = 0;
    if (clients == NULL)
        give_up("no memory");
    double began = now();
    for (int i = 0; i < threads; i++) {
        clients[i].number = i;
        if (pthread_create(&clients[i].thread, NULL, run, &clients[i]) != 0)
            give_up("no thread");
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(clients[i].thread, NULL);
        done += clients[i].sessions;
        messages += clients[i].messages;
        octets += clients[i].octets;
    }
    double seconds = now() - began;
    if (copy != NULL && fclose(copy) != 0)
        give_up("writing the messages: %s", strerror(errno));
    printf("{\"sessions\": %lu, \"messages\": %lu, \"octets\": %lu, \"seconds\": %.6f", done, messages, octets, seconds);
    for (enum kind kind = 0; kind < KINDS; kind++)
        print_latency(clients, kind);
    puts("}");
    return fflush(stdout) == 0 ? 0 : 1;
}
