/* Counts how often each block of an emulated program runs between two marks.
 *
 *   qemu-aarch64 -plugin counter.so,fd=N …
 *
 * A mark is the system call getpriority(MARK, 0) to begin and getpriority(MARK, 1) to end, with a
 * MARK that no kernel knows. At the end mark, text goes to descriptor N:
 *
 *   B <block> <instruction word in hex> …      once per block, the first time it is reported
 *   R <block> <runs> <block> <runs> …          the blocks that ran between the marks
 *
 * Everything else, start-up and loading above all, leaves no trace. What the words cost is for the
 * reader to say. Not for several threads: the counters are plain additions.
 *
 * The interface is version 1 of QEMU's plugins (6.0 to 8.2), declared here since Debian has no
 * header for it.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GETPRIORITY = 141, MARK = 0x4D41, BEGIN = 0, END = 1, ADD = 0 };

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated)(uint64_t, struct qemu_plugin_tb *);
typedef void (*system_call)(uint64_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                            uint64_t, uint64_t, uint64_t, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, translated);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t, system_call);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

struct block {
    struct block *next;
    uint64_t id, runs, runs_before, reported;
    size_t length;
    uint32_t words[];
};

static struct block *blocks;
static FILE *out;

static void on_translated(uint64_t plugin, struct qemu_plugin_tb *tb) {
    size_t length = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + length * sizeof block->words[0]);
    (void)plugin;
    if (!block) {
        abort();
    }
    block->length = length;
    for (size_t i = 0; i < length; i++) {
        const void *data = qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i));
        memcpy(&block->words[i], data, sizeof block->words[i]);
    }
    block->id = blocks ? blocks->id + 1 : 0;
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD, &block->runs, 1);
}

static void describe(struct block *block) {
    fprintf(out, "B %" PRIu64, block->id);
    for (size_t i = 0; i < block->length; i++) {
        fprintf(out, " %" PRIx32, block->words[i]);
    }
    fputc('\n', out);
    block->reported = 1;
}

static void report(void) {
    for (struct block *block = blocks; block; block = block->next) {
        if (block->runs != block->runs_before && !block->reported) {
            describe(block);
        }
    }
    fputc('R', out);
    for (struct block *block = blocks; block; block = block->next) {
        if (block->runs != block->runs_before) {
            fprintf(out, " %" PRIu64 " %" PRIu64, block->id, block->runs - block->runs_before);
        }
    }
    fputc('\n', out);
    fflush(out);
}

static void on_system_call(uint64_t plugin, unsigned cpu, int64_t number, uint64_t which,
                           uint64_t who, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                           uint64_t a7, uint64_t a8) {
    (void)plugin, (void)cpu, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != GETPRIORITY || which != MARK) {
        return;
    }
    if (who == END) {
        report();
    } else if (who == BEGIN) {
        for (struct block *block = blocks; block; block = block->next) {
            block->runs_before = block->runs;
        }
    }
}

EXPORT int qemu_plugin_install(uint64_t plugin, const void *info, int argc, char **argv) {
    int descriptor;
    (void)info;
    if (argc != 1 || sscanf(argv[0], "fd=%d", &descriptor) != 1 ||
        !(out = fdopen(descriptor, "w"))) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, on_translated);
    qemu_plugin_register_vcpu_syscall_cb(plugin, on_system_call);
    return 0;
}
